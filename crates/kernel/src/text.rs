//! Small rules about text that more than one domain needs.

/// Cuts `text` to at most `max` characters, at a word's end where there is one.
pub fn cut_at_word(text: &str, max: usize) -> &str {
    let text = text.trim();
    let Some((end, _)) = text.char_indices().nth(max) else { return text };
    let head = &text[..end];
    if text[end..].starts_with(char::is_whitespace) {
        return head.trim_end();
    }
    match head.rfind(char::is_whitespace) {
        Some(space) if !head[..space].trim_end().is_empty() => head[..space].trim_end(),
        _ => head,
    }
}

/// Joins all lines of `text` into one and drops control characters, for an assistant to say.
pub fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether `text` can be stored: PostgreSQL text holds no NUL.
pub fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_words_and_never_inside_a_character() {
        assert_eq!(cut_at_word("Clinique Étoile du Nord", 15), "Clinique Étoile");
        assert_eq!(cut_at_word("Clinique Étoile du Nord", 14), "Clinique");
        assert_eq!(cut_at_word("Öööööö", 3), "Ööö");
        assert_eq!(cut_at_word("short", 10), "short");
    }

    #[test]
    fn one_line_has_no_breaks() {
        assert_eq!(one_line("a\r\n b\t\u{0}c "), "a b c");
    }
}
