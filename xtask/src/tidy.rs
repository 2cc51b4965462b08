//! The house's habits as a program: what lints cannot see and review forgets.

use std::{collections::BTreeSet, fs, path::Path, process::ExitCode};

use crate::{say, workspace};

/// Where our Rust is.
const OURS: [&str; 3] = ["crates", "apps", "xtask"];

/// Prints what is not as it should be.
///
/// # Errors
/// When files cannot be read.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let untidy = findings()?;
    for finding in &untidy {
        say::note(finding);
    }
    say::note(&if untidy.is_empty() { "tidy".to_owned() } else { format!("{} to put right", untidy.len()) });
    Ok(if untidy.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that is not as it should be, one sentence each.
pub(crate) fn findings() -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    let root = workspace::root();
    let mut look =
        |directories: &[&str], ending: &str, check: fn(&str) -> Vec<String>| -> anyhow::Result<()> {
            for path in workspace::files(directories, ending)? {
                let shown = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                let found = check(&fs::read_to_string(&path)?);
                all.extend(found.into_iter().map(|finding| format!("{shown}: {finding}")));
            }
            Ok(())
        };
    look(&OURS, ".rs", module)?;
    look(&OURS, "Cargo.toml", manifest)?;
    look(&["migrations"], ".sql", migration)?;
    all.extend(numbering(&root.join("migrations"))?);
    Ok(all)
}

/// A module says what it is for.
fn module(text: &str) -> Vec<String> {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
    let documented = first.is_some_and(|line| line.starts_with("//!"));
    if documented {
        Vec::new()
    } else {
        vec!["a module begins with `//!`: what it is for, what it will not do".into()]
    }
}

/// A manifest takes lints and versions from the workspace.
fn manifest(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    if !lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]) {
        found.push("lints are inherited: `[lints]` and `workspace = true`".to_owned());
    }
    let mut in_dependencies = false;
    for line in lines {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies
            && line.contains('=')
            && !line.starts_with('#')
            && !line.contains("workspace = true")
            // A crate that turns its own feature on for its tests names itself.
            && !line.contains("path = \".\"")
        {
            found.push(format!(
                "`{line}`: versions are in the root manifest, here it says `workspace = true`"
            ));
        }
    }
    found
}

/// A table with an organization has row level security, forced, and the tenant's policy, in the file that makes it.
fn migration(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (table, body) in tables(text) {
        let has_organization = body.lines().any(|line| line.trim_start().starts_with("org_id "));
        let by_function = text.contains(&format!("make_tenant_table('{table}'"));
        let by_hand = ["enable row level security", "force row level security"]
            .iter()
            .all(|what| text.contains(&format!("alter table {table} {what}")))
            && text.contains(&format!("create policy tenant on {table} "));
        if has_organization && !by_function && !by_hand {
            found.push(format!(
                "table {table} has an org_id and no policy: `select make_tenant_table('{table}');`"
            ));
        }
    }
    found
}

/// Every `create table`: its name and what is between its parentheses.
fn tables(text: &str) -> Vec<(&str, &str)> {
    text.split("\ncreate table ")
        .skip(1)
        .chain(text.strip_prefix("create table "))
        .filter_map(|rest| {
            let (head, body) = rest.split_once('(')?;
            let name = head.trim().trim_start_matches("if not exists ").trim();
            Some((name, body.split_once("\n)").map_or(body, |(inside, _)| inside)))
        })
        .collect()
}

/// Migrations are numbered once each: two files of one number would depend on luck.
fn numbering(directory: &Path) -> anyhow::Result<Vec<String>> {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name.split('_').next().unwrap_or_default().to_owned();
        if number.len() != 4 || number.parse::<u16>().is_err() {
            found.push(format!("migrations/{name}: a migration is called NNNN_what_it_does.sql"));
        } else if !seen.insert(number) {
            found.push(format!("migrations/{name}: this number is taken"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[String], expected: &str) {
        assert!(found.iter().any(|finding| finding.contains(expected)), "{expected} is not in {found:?}");
    }

    #[test]
    fn a_module_without_documentation_is_found() {
        check(&module("use std::fs;\n"), "begins with `//!`");
        assert!(module("#![expect(unused, reason = \"x\")]\n//! Fine.\n").is_empty());
    }

    #[test]
    fn a_manifest_with_lints_or_versions_of_its_own_is_found() {
        check(&manifest("[package]\nname = \"x\"\n"), "lints are inherited");
        let own = "[lints]\nworkspace = true\n[dev-dependencies]\nserde = \"1\"\n";
        check(&manifest(own), "versions are in the root manifest");
        let fine = "[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\nurl = { workspace = true }\n[dev-dependencies]\nme = { path = \".\" }\n";
        assert!(manifest(fine).is_empty());
    }

    #[test]
    fn a_tenants_table_without_policy_is_found() {
        let bare = "create table notes (\n    id uuid,\n    org_id uuid not null\n);\n";
        check(&migration(bare), "table notes");
        let guarded = format!("-- notes\n{bare}select make_tenant_table('notes');\n");
        assert!(migration(&guarded).is_empty());
        check(&migration(&format!("{guarded}create table others (\n    org_id uuid\n);\n")), "table others");
        assert!(migration("create table plain (\n    id uuid\n);\n").is_empty());
    }
}
