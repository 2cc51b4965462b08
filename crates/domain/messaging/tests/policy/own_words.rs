//! No text of ours asks for an answer that carriers read as an opt-out. Nobody keeps a list of our texts, which a new
//! one could be missing from: they are read out of the sources, every literal and every template of the programs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use voxanne_messaging::consent::wording;

/// What ships, below the workspace: the sandbox stands in for providers and says what they say.
const SHIPPED: [&str; 5] =
    ["crates/domain", "crates/adapters", "crates/kernel", "apps/server", "apps/worker"];
/// Whatever begins like this is read by a database.
const SQL: [&str; 6] = ["select ", "insert ", "update ", "delete ", "with ", "case "];

#[test]
fn no_text_of_ours_asks_for_an_answer_that_opts_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut texts = Vec::new();
    for shipped in SHIPPED {
        for file in files(&root.join(shipped)) {
            let content = fs::read_to_string(&file).unwrap();
            if file.extension().is_some_and(|kind| kind == "rs") {
                // Unit tests say what must not be said; they are last in their files.
                let shipped = content.split("#[cfg(test)]").next().unwrap_or_default();
                texts.extend(literals(shipped).into_iter().map(|text| (file.clone(), text)));
            } else {
                texts.push((file, content));
            }
        }
    }
    for known in ["Reminder from {}: your appointment{} is on {when}.", "Hot lead, score {}:", "test message"]
    {
        assert!(texts.iter().any(|(_, text)| text.contains(known)), "the text {known:?} was not found");
    }
    println!("{} texts", texts.len());
    assert!(texts.len() > 1_000);
    let is_sql = |text: &str| {
        let begins = text.trim_start().to_lowercase();
        SQL.into_iter().any(|word| begins.starts_with(word))
    };
    for (file, text) in texts.iter().filter(|(_, text)| !is_sql(text)) {
        let found = wording::check(text);
        assert!(found.is_ok(), "{}: {text:?} {}", file.display(), found.unwrap_err());
    }
}

/// Sources and templates of mails below `folder`, without integration tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir()
            && !["tests", "testing", "target", "dashboard", "node_modules", "dist"].contains(&name)
        {
            found.extend(files(&path));
        }
        let is_text =
            path.extension().is_some_and(|kind| ["rs", "html", "txt"].iter().any(|known| kind == *known));
        if is_text && !["tests.rs", "testing.rs"].contains(&name) {
            found.push(path);
        }
    }
    found
}

/// The string literals of a source, without its comments.
fn literals(source: &str) -> Vec<String> {
    let (mut rest, mut found) = (source, Vec::new());
    while let Some(first) = rest.chars().next() {
        rest = if rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map_or("", |(_, after)| after)
        } else if let Some(after) = rest.strip_prefix('"') {
            let (text, after) = escaped(after);
            found.push(text);
            after
        } else if let Some((text, after)) = raw(rest) {
            found.push(text);
            after
        } else if let Some(after) =
            ["'\\''", "'\"'", "'\\\"'"].iter().find_map(|quote| rest.strip_prefix(quote))
        {
            after
        } else if first.is_alphanumeric() || first == '_' {
            // A whole word, so that the end of one is not taken for the beginning of a raw literal.
            rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
        } else {
            &rest[first.len_utf8()..]
        };
    }
    found
}

/// The text up to the closing quote, and what follows.
fn escaped(source: &str) -> (String, &str) {
    let (mut text, mut rest) = (String::new(), source.chars());
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => match rest.next() {
                Some('n') => text.push('\n'),
                // The literal goes on where the next line begins.
                Some('\n') => rest = rest.as_str().trim_start().chars(),
                Some(escaped) => text.push(escaped),
                None => break,
            },
            c => text.push(c),
        }
    }
    (text, rest.as_str())
}

/// A raw literal and what follows it, if `source` begins with one.
fn raw(source: &str) -> Option<(String, &str)> {
    let opened = source.strip_prefix('r')?;
    let (hashes, body) = opened.split_once('"').filter(|(hashes, _)| hashes.chars().all(|c| c == '#'))?;
    let (text, after) = body.split_once(&format!("\"{hashes}"))?;
    Some((text.to_owned(), after))
}

#[test]
fn literals_are_found_in_whatever_way_they_are_written() {
    let source = "let a = \"one\"; // \"not this\"\n /* \"nor this\" */ 'x'; '\"'; b(r#\"tw\"o\"#);\n\
                  c(\"Reply \\\n     CANCEL to cancel\\n\"); for_\"four\"; r\"five\"";
    let found = literals(source);
    assert_eq!(found, ["one", "tw\"o", "Reply CANCEL to cancel\n", "four", "five"]);
    assert!(wording::check(&found[2]).is_err());
}
