//! The little that is done with HTML: escaping, and a plain text for those who read no HTML.

/// `text` as it stands in HTML, also within quotes of an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '`' => html.push_str("&#96;"),
            c => html.push(c),
        }
    }
    html
}

/// Whether somebody wrote HTML: there is a tag in it.
pub(super) fn is_html(text: &str) -> bool {
    text.match_indices('<').any(|(at, _)| {
        let after = &text[at + 1..];
        after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') && after.contains('>')
    })
}

/// Plain text as HTML: its lines stay lines.
pub(super) fn of_text(text: &str) -> String {
    escaped(text).replace("\r\n", "\n").replace('\n', "<br>\n")
}

/// What is left of HTML for those who read none: its words, with a line for each block. Nobody looks at it for safety.
pub(super) fn to_text(html: &str) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some((words, after)) = rest.split_once('<') {
        text.push_str(&collapsed(words));
        let (tag, after) = after.split_once('>').unwrap_or((after, ""));
        let closes = tag.starts_with('/');
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        rest = match name.as_str() {
            "script" | "style" | "head" | "title" if !closes => after_end_of(after, &name),
            _ => after,
        };
        match name.as_str() {
            "br" | "p" | "div" | "tr" | "h1" | "h2" | "h3" | "h4" | "table" | "ul" | "ol" => text.push('\n'),
            "li" if !closes => text.push_str("\n- "),
            _ => {}
        }
    }
    text.push_str(&collapsed(rest));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut tidy = String::new();
    for line in lines {
        if !(line.is_empty() && (tidy.is_empty() || tidy.ends_with("\n\n"))) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    decoded(tidy.trim())
}

fn after_end_of<'a>(html: &'a str, name: &str) -> &'a str {
    let lower = html.to_ascii_lowercase();
    lower.find(&format!("</{name}")).map_or("", |at| &html[at..])
}

/// Spaces and line breaks in HTML are one space.
fn collapsed(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        if !c.is_whitespace() || c == '\u{a0}' {
            text.push(c);
        } else if !text.ends_with(' ') {
            text.push(' ');
        }
    }
    text
}

fn decoded(text: &str) -> String {
    text.replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#96;", "`")
        .replace("&amp;", "&")
}
