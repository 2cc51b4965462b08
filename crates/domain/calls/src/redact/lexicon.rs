//! What single words mean in a number or a date.

/// What a word can be in a number or a date; most words are neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lex {
    /// zero … nine
    Unit(u8),
    /// ten … nineteen
    Teen(u8),
    /// twenty … ninety
    Tens(u8),
    /// double, triple
    Repeat(u8),
    Hundred,
    Thousand,
    /// A word that engines write for a digit: for, to, too, ate, won.
    Homophone(u8),
    /// Said between digits: uh, dash, then.
    Filler,
    /// January … December. "May" and "march" are verbs too; the grammar of dates asks for a day.
    Month,
    /// first … thirty-first, without the tens of a compound.
    Ordinal(u8),
    /// What a quantity is counted in; a run before it is no identifier.
    Measure,
    Other,
}

/// Looks `word` up, which is lower case.
pub(super) fn lex(word: &str) -> Lex {
    use Lex::{
        Filler, Homophone, Hundred, Measure, Month, Ordinal, Other, Repeat, Teen, Tens, Thousand, Unit,
    };
    match word {
        "zero" | "oh" | "o" => Unit(0),
        "one" => Unit(1),
        "two" => Unit(2),
        "three" => Unit(3),
        "four" => Unit(4),
        "five" => Unit(5),
        "six" => Unit(6),
        "seven" => Unit(7),
        "eight" => Unit(8),
        "nine" => Unit(9),
        "ten" => Teen(10),
        "eleven" => Teen(11),
        "twelve" => Teen(12),
        "thirteen" => Teen(13),
        "fourteen" => Teen(14),
        "fifteen" => Teen(15),
        "sixteen" => Teen(16),
        "seventeen" => Teen(17),
        "eighteen" => Teen(18),
        "nineteen" => Teen(19),
        "twenty" => Tens(20),
        "thirty" => Tens(30),
        "forty" | "fourty" => Tens(40),
        "fifty" => Tens(50),
        "sixty" => Tens(60),
        "seventy" => Tens(70),
        "eighty" => Tens(80),
        "ninety" => Tens(90),
        "double" => Repeat(2),
        "triple" | "treble" => Repeat(3),
        "hundred" => Hundred,
        "thousand" => Thousand,
        "for" => Homophone(4),
        "to" | "too" => Homophone(2),
        "ate" => Homophone(8),
        "won" => Homophone(1),
        "uh" | "um" | "er" | "erm" | "uhm" | "hmm" | "mm" | "ah" | "dash" | "hyphen" | "then" | "and"
        | "comma" | "dot" | "bracket" | "brackets" | "parenthesis" | "plus" | "space" => Filler,
        "january" | "february" | "march" | "april" | "may" | "june" | "july" | "august" | "september"
        | "october" | "november" | "december" | "jan" | "feb" | "mar" | "apr" | "jun" | "jul" | "aug"
        | "sep" | "sept" | "oct" | "nov" | "dec" => Month,
        "dollar" | "dollars" | "bucks" | "buck" | "cents" | "euro" | "euros" | "pounds" | "percent"
        | "mg" | "milligram" | "milligrams" | "ml" | "milliliters" | "cc" | "kg" | "minute" | "minutes"
        | "min" | "mins" | "hour" | "hours" | "day" | "days" | "week" | "weeks" | "month" | "months"
        | "unit" | "units" | "session" | "sessions" | "am" | "pm" | "o'clock" | "oclock" => Measure,
        _ => ordinal(word).map_or(Other, Ordinal),
    }
}

fn ordinal(word: &str) -> Option<u8> {
    Some(match word {
        "first" => 1,
        "second" => 2,
        "third" => 3,
        "fourth" => 4,
        "fifth" => 5,
        "sixth" => 6,
        "seventh" => 7,
        "eighth" => 8,
        "ninth" => 9,
        "tenth" => 10,
        "eleventh" => 11,
        "twelfth" => 12,
        "thirteenth" => 13,
        "fourteenth" => 14,
        "fifteenth" => 15,
        "sixteenth" => 16,
        "seventeenth" => 17,
        "eighteenth" => 18,
        "nineteenth" => 19,
        "twentieth" => 20,
        "thirtieth" => 30,
        _ => return None,
    })
}
