//! What suggested windows change of the text of a policy file. Everything else in it stays as it was written.

use anyhow::{Context as _, Result, bail};
use similar::TextDiff;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

use super::Proposed;

/// Begins the lines that a former suggestion left.
const MARK: &str = "# Suggested: ";
/// The limit that is added where a policy has none on calls abroad.
const ADDED: &str = "abroad";
/// Lines around a change.
const CONTEXT: usize = 3;

/// The limit that the windows are for.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// Its name in the policy in force; `None` where that has no limit by windows on the calls abroad of a line.
    pub name: Option<&'a str>,
    /// The windows of a line.
    pub windows: &'a [Proposed],
    /// The windows of the site.
    pub site_windows: &'a [Proposed],
    /// What was observed, for the first comment.
    pub observed: &'a str,
}

/// The policy file with the windows in it, each figure with where it comes from.
///
/// # Errors
///
/// Where the text is no policy that has the limit.
pub fn edited(text: &str, limit: &Limit<'_>) -> Result<String> {
    let mut document: DocumentMut = text.parse().context("the policy file is no TOML: run `tollgate check` on it")?;
    let name = match limit.name {
        Some(name) => name.to_owned(),
        None => add(&mut document)?,
    };
    let table = document
        .get_mut("limit")
        .and_then(Item::as_table_like_mut)
        .and_then(|limits| limits.get_mut(&name))
        .and_then(Item::as_table_like_mut);
    let Some(table) = table else {
        bail!(
            "[limit.{name}] is in force and not in the file: `tollgate diff` shows what differs; `tollgate reload` first"
        )
    };
    put(table, "windows", limit.windows, Some(limit.observed));
    put(table, "site_windows", limit.site_windows, None);
    Ok(document.to_string())
}

/// Adds a limit on the calls abroad of a line, and to the profile of all sources. Returns its name.
fn add(document: &mut DocumentMut) -> Result<String> {
    let limits = document.entry("limit").or_insert(Item::Table(implicit()));
    let Some(limits) = limits.as_table_like_mut() else {
        bail!("`limit` is no table: run `tollgate check` on the file")
    };
    let name = if limits.contains_key(ADDED) { format!("{ADDED}-line") } else { ADDED.to_owned() };
    if limits.contains_key(&name) {
        bail!("[limit.{name}] and [limit.{ADDED}] are something else already: rename one of them");
    }
    let mut table = Table::new();
    for (key, text) in [("key", "line"), ("class", "international"), ("over", "suspend"), ("suspend", "24h")] {
        table.insert(key, value(text));
    }
    limits.insert(&name, Item::Table(table));
    let profiles = document.entry("profile").or_insert(Item::Table(implicit()));
    let profile = profiles.as_table_like_mut().map(|it| it.entry("default").or_insert(Item::Table(Table::new())));
    let named = profile.and_then(Item::as_table_like_mut).map(|it| it.entry("limits").or_insert(value(Array::new())));
    let Some(named) = named.and_then(Item::as_array_mut) else {
        bail!("`limits` of [profile.default] is no list: run `tollgate check` on the file");
    };
    named.push(&name);
    Ok(name)
}

fn implicit() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

/// Writes windows, with the evidence above them in place of that of a former suggestion.
fn put(table: &mut dyn TableLike, key: &str, windows: &[Proposed], observed: Option<&str>) {
    let written: Vec<String> = windows.iter().map(Proposed::text).collect();
    let same = table.get(key).and_then(Item::as_array).is_some_and(|array| {
        array.iter().map(|it| it.as_str().unwrap_or_default()).eq(written.iter().map(String::as_str))
    });
    if same {
        return;
    }
    let mut list = value(written.iter().collect::<Array>());
    if let (Some(old), Some(new)) = (table.get(key).and_then(Item::as_value), list.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, list);
    if let Some(mut key) = table.key_mut(key) {
        let decor = key.leaf_decor_mut();
        let before = decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        let kept = before.split_inclusive('\n').filter(|line| !line.starts_with(MARK)).collect::<String>();
        let told = observed.map(str::to_owned).into_iter().chain(windows.iter().map(Proposed::evidence));
        let prefix = told.fold(kept, |prefix, line| prefix + MARK + &line + ".\n");
        decor.set_prefix(prefix);
    }
}

/// A unified diff of a file; empty where nothing differs.
pub fn unified(before: &str, after: &str, file: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(CONTEXT).header(file, file).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config,
        suggest::{LEAST, SHIPPED, of_line, of_site},
    };

    const POLICY: &str = include_str!("../../policies/jp.toml");

    fn with(text: &str, name: Option<&str>, peak: u64) -> Result<String> {
        let (windows, site_windows) = (of_line([peak; 4], &LEAST), of_site([peak; 4], &LEAST));
        edited(text, &Limit { name, windows: &windows, site_windows: &site_windows, observed: "8d were observed" })
    }

    fn windows(text: &str, name: &str) -> Vec<String> {
        let (config, _) = config::parse(text, None, Path::new(".")).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let limit = config.limits.iter().find(|limit| limit.name == name).unwrap();
        limit.windows.iter().chain(&limit.site_windows).map(ToString::to_string).collect()
    }

    #[test]
    fn only_the_windows_change_and_each_says_why() {
        let (windows_of, site) = (of_line([0; 4], &SHIPPED), of_site([0; 4], &SHIPPED));
        let shipped = Limit { name: Some("abroad"), windows: &windows_of, site_windows: &site, observed: "nothing" };
        assert_eq!(edited(POLICY, &shipped).unwrap(), POLICY, "what is shipped stays as it is written");
        let found = with(POLICY, Some("abroad"), 20).unwrap();
        assert_eq!(windows(&found, "abroad"), ["40/1d", "40/1h", "60/1d"]);
        let diff = unified(POLICY, &found, "/etc/tollgate/tollgate.toml");
        let gone: Vec<&str> = diff.lines().filter(|line| line.starts_with('-') && !line.starts_with("---")).collect();
        assert_eq!(gone.len(), 2, "{diff}");
        for needle in [
            "--- /etc/tollgate/tollgate.toml",
            "+# Suggested: 8d were observed.",
            "+# Suggested: 40/24h: at most 20 in 24h were seen; 40 is 2 times that.",
            "+windows = [\"40/24h\"]",
        ] {
            assert!(diff.contains(needle), "{needle}: {diff}");
        }
        // The next suggestion takes the place of this one.
        let again = with(&found, Some("abroad"), 25).unwrap();
        assert_eq!(again.matches(MARK).count(), found.matches(MARK).count());
        assert_eq!(unified(&found, &found, "x"), "");
    }

    #[test]
    fn a_policy_without_such_a_limit_gets_one_that_loads() {
        let bare = "mode = \"monitor\"\n\n[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n\n[site]\nregion = \"JP\"\n";
        for text in [
            bare.to_owned(),
            format!(
                "{bare}\n[profile.default]\nlimits = [\"caller\"]\n\n[limit.caller]\nkey = \"source\"\nrate = \"10/s\"\n"
            ),
            format!("{bare}\n[profile]\ndefault = {{ block = [\"SL\"] }}\n"),
        ] {
            let found = with(&text, None, 2).unwrap();
            assert_eq!(windows(&found, "abroad")[2], "10/1h", "{found}");
            let (config, _) = config::parse(&found, None, Path::new(".")).unwrap();
            assert!(config.profiles[0].limits.contains(&"abroad".to_owned()), "{found}");
        }
        let taken = format!(
            "{bare}[profile.default]\nlimits = [\"abroad\"]\n[limit.abroad]\nkey = \"source\"\nrate = \"1/s\"\n"
        );
        assert_eq!(windows(&with(&taken, None, 2).unwrap(), "abroad-line")[2], "10/1h");
    }

    #[test]
    fn a_file_that_is_not_what_is_in_force_is_refused() {
        for (text, name, needle) in [
            ("limit = 3\n", None, "is no table"),
            ("[limit.abroad]\n", Some("other"), "not in the file"),
            ("[limit", Some("abroad"), "no TOML"),
            ("[profile.default]\nlimits = 3\n", None, "is no list"),
        ] {
            let error = format!("{:#}", with(text, name, 2).unwrap_err());
            assert!(error.contains(needle), "{text}: {error}");
        }
    }
}
