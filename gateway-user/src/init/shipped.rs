//! What a first policy has from the policies that are shipped: their limits and lists, with the reasons that stand there.

use toml_edit::DocumentMut;

/// The shipped policies, by region. Their limits are the same.
const SHIPPED: [(&str, &str); 3] = [
    ("JP", include_str!("../../policies/jp.toml")),
    ("DE", include_str!("../../policies/de.toml")),
    ("US", include_str!("../../policies/us.toml")),
];

/// The policy that is shipped for a region; for one without its own, the first.
pub(super) fn of(region: &str) -> &'static str {
    SHIPPED.iter().find(|(own, _)| *own == region).unwrap_or(&SHIPPED[0]).1
}

/// Its limits, from the comment above the first to the end of the file.
pub(super) fn limits(shipped: &'static str) -> &'static str {
    let first = shipped.find("\n[limit.").unwrap_or(shipped.len());
    let above = shipped[..first].rfind("\n\n").map_or(0, |at| at + 2);
    &shipped[above..]
}

/// The line that names them in a profile.
pub(super) fn names(shipped: &'static str) -> &'static str {
    shipped.lines().find(|line| line.starts_with("limits = ")).unwrap_or_default()
}

/// What its default profile blocks, and the comment on it.
pub(super) fn blocked(shipped: &'static str) -> (Vec<String>, Vec<&'static str>) {
    let document: DocumentMut = shipped.parse().unwrap_or_default();
    let block = document.get("profile").and_then(|it| it.get("default")).and_then(|it| it.get("block"));
    let entries = block.and_then(|it| it.as_array()).into_iter().flatten();
    let entries = entries.filter_map(|it| it.as_str().map(str::to_owned)).collect();
    let above: Vec<&str> = shipped.lines().take_while(|line| !line.starts_with("block = ")).collect();
    // Keys that wait to be wanted stand above it, as comments too.
    let told = above.iter().rev().take_while(|line| line.starts_with("# ") && !line.contains(" = "));
    let mut told: Vec<&str> = told.copied().collect();
    told.reverse();
    (entries, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policies_have_the_same_limits_and_each_a_list_with_its_source() {
        let jp = of("JP");
        assert!(limits(jp).starts_with("# No telephone dials faster"), "{}", limits(jp));
        assert_eq!(of("FR"), jp, "who has none of its own gets the first");
        for region in ["JP", "DE", "US"] {
            let shipped = of(region);
            assert!(shipped.contains(&format!("region = \"{region}\"")));
            assert_eq!((limits(shipped), names(shipped)), (limits(jp), names(jp)), "{region}");
            let (entries, told) = blocked(shipped);
            assert!(entries.len() > 10 && entries.contains(&"SL".to_owned()) && entries.contains(&"+979".to_owned()));
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(told[0].contains("20") && told[1].starts_with("# Then satellites"), "{told:?}");
        }
    }
}
