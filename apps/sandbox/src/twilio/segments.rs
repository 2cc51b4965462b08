//! Into how many parts a text is split: a part is 140 bytes, and what belongs together is not torn apart.

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The number of parts.
pub(super) fn count(text: &str) -> u32 {
    let septets = |letter: char| {
        if BASIC.contains(letter) {
            Some(1)
        } else if EXTENSION.contains(letter) {
            Some(2)
        } else {
            None
        }
    };
    let gsm: Option<Vec<usize>> = text.chars().map(septets).collect();
    match gsm {
        Some(units) => packed(&units, 160, 153),
        None => packed(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

fn packed(units: &[usize], alone: usize, each: usize) -> u32 {
    if units.iter().sum::<usize>() <= alone {
        return 1;
    }
    let (mut parts, mut filled) = (1, 0);
    for unit in units {
        if filled + unit > each {
            parts += 1;
            filled = 0;
        }
        filled += unit;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_as_phones_do_it() {
        let check = |text: String, parts| assert_eq!(count(&text), parts, "{text}");
        check("a".repeat(160), 1);
        check("a".repeat(161), 2);
        check("a".repeat(307), 3);
        check("€".repeat(81), 2);
        check(format!("{}€{}", "a".repeat(152), "a".repeat(152)), 3);
        check("י".repeat(70), 1);
        check("י".repeat(71), 2);
        check(format!("{}😀{}", "ş".repeat(66), "ş".repeat(66)), 3);
        check("Café à Zürich".to_owned(), 1);
    }
}
