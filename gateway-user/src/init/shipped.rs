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

/// The key that names them in a profile.
pub(super) fn names(shipped: &'static str) -> &'static str {
    let first = shipped.find("\nlimits = [").map_or(shipped.len(), |at| at + 1);
    let rest = &shipped[first..];
    &rest[..rest.find("]\n").map_or(rest.len(), |at| at + 1)]
}

/// The schedules of its limits, with the comment above them. A region without its own has no holidays.
pub(super) fn times(shipped: &'static str, region: &str) -> String {
    let first = shipped.find("\n[schedule.").unwrap_or(shipped.len());
    let above = shipped[..first].rfind("\n\n").map_or(0, |at| at + 2);
    let behind = shipped[first..].find("\n\n").map_or(shipped.len(), |at| first + at + 2);
    without_holidays(&shipped[above..behind], shipped, region)
}

/// The lines of `[site]` that say when days begin and which are holidays, as comments in a region without its own.
pub(super) fn calendar(shipped: &'static str, region: &str) -> String {
    let keys = ["time_zone = ", "holidays = "];
    let is_of = |line: &&str| keys.iter().any(|key| line.trim_start_matches("# ").starts_with(key));
    let site = shipped.split("\n[site]").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let lines: Vec<&str> = site.lines().filter(is_of).collect();
    if is_own(shipped, region) {
        return lines.join("\n") + "\n";
    }
    let zone = "# In which the schedules below count; that of this machine, where none is named.\n# time_zone = \"Asia/Tokyo\"\n";
    format!("{zone}# holidays = [\"2026-12-25\"]        # then write holidays = \"include\" in [schedule.weekend]\n")
}

fn is_own(shipped: &str, region: &str) -> bool {
    shipped.contains(&format!("region = {region:?}"))
}

fn without_holidays(text: &str, shipped: &str, region: &str) -> String {
    let stays = |line: &&str| is_own(shipped, region) || !line.starts_with("holidays = ");
    text.split_inclusive('\n').filter(stays).collect()
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
            // Only Japan's holidays are built in.
            assert_eq!(times(shipped, region).replace("holidays = \"include\"\n", ""), times(jp, "FR"), "{region}");
            assert!(calendar(shipped, region).starts_with("time_zone = "), "{region}");
            let (entries, told) = blocked(shipped);
            assert!(entries.len() > 10 && entries.contains(&"SL".to_owned()) && entries.contains(&"+979".to_owned()));
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(told[0].contains("20") && told[1].starts_with("# Then satellites"), "{told:?}");
        }
    }
}
