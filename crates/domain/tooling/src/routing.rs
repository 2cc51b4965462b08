//! Where an organization wants its calls to go: its own document, read leniently and believed exactly.
//!
//! The document is shaped by the organization. Understood are a list of departments with a name and a number, and
//! departments as names with a number (or an object with one) behind each, at the top or under `departments`; the
//! names `default`, `fallback`, `main` and `general` stand for whoever takes all other calls. A number that is not in
//! E.164 is left out: a call is put through to what the organization wrote or to nobody.

use serde_json::{Map, Value};
use voxanne_kernel::{E164, text::one_line};

use crate::words;

/// A department and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Department {
    /// As the organization calls it, on one line.
    pub name: String,
    /// Where it is reached.
    pub number: E164,
}

/// Where calls go that need a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallRouting {
    /// In the order of the document.
    pub departments: Vec<Department>,
    /// Whoever takes all other calls.
    pub otherwise: Option<E164>,
}

const NUMBER: [&str; 4] = ["phone", "number", "phoneNumber", "phone_number"];
const NAME: [&str; 3] = ["name", "department", "label"];
const OTHERWISE: [&str; 4] = ["default", "fallback", "main", "general"];

impl CallRouting {
    /// Reads the organization's document.
    pub fn read(document: &Map<String, Value>) -> Self {
        let mut routing = Self::default();
        for (name, value) in document {
            match value {
                Value::Array(entries) => {
                    for entry in entries.iter().filter_map(Value::as_object) {
                        if let (Some(name), Some(number)) = (text(entry, &NAME), number_in(entry)) {
                            routing.add(&name, number);
                        }
                    }
                }
                Value::Object(inner) if name == "departments" => {
                    for (name, value) in inner {
                        routing.add_entry(name, value);
                    }
                }
                other => routing.add_entry(name, other),
            }
        }
        routing
    }

    fn add_entry(&mut self, name: &str, value: &Value) {
        let number = match value {
            Value::String(text) => number(text),
            Value::Object(entry) => number_in(entry),
            _ => None,
        };
        if let Some(number) = number {
            self.add(name, number);
        }
    }

    fn add(&mut self, name: &str, number: E164) {
        if OTHERWISE.iter().any(|word| word.eq_ignore_ascii_case(name.trim())) {
            self.otherwise.get_or_insert(number);
        } else {
            self.departments.push(Department { name: one_line(name), number });
        }
    }

    /// The department that `asked` names, as spoken: all its words, or else most of them.
    pub fn department(&self, asked: &str) -> Option<&Department> {
        let asked = words::telling(asked);
        let shared = |department: &Department| words::telling(&department.name).intersection(&asked).count();
        let best = self.departments.iter().map(shared).max().filter(|most| *most > 0)?;
        self.departments.iter().find(|department| shared(department) == best)
    }

    /// Where a call goes: to the department that was asked for, else to whoever takes all others, else to
    /// `alert_phone`.
    pub fn destination(
        &self,
        asked: Option<&str>,
        alert_phone: Option<&E164>,
    ) -> Option<(Option<&str>, E164)> {
        if let Some(found) = asked.and_then(|asked| self.department(asked)) {
            return Some((Some(&found.name), found.number.clone()));
        }
        self.otherwise.as_ref().or(alert_phone).map(|number| (None, number.clone()))
    }
}

fn text(entry: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| entry.get(*key)?.as_str()).map(ToOwned::to_owned)
}

fn number_in(entry: &Map<String, Value>) -> Option<E164> {
    NUMBER.iter().find_map(|key| number(entry.get(*key)?.as_str()?))
}

fn number(text: &str) -> Option<E164> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && !"-.()".contains(*c)).collect();
    E164::new(&digits).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn routing(document: Value) -> CallRouting {
        let Value::Object(document) = document else { panic!("an object") };
        CallRouting::read(&document)
    }

    #[test]
    fn departments_are_read_in_every_shape_people_write_them_in() {
        let billing = [Department { name: "Billing".into(), number: E164::new("+15005550006").unwrap() }];
        for document in [
            json!({"departments": [{"name": "Billing", "phone": "+15005550006"}, {"name": "X"}, 7]}),
            json!({"departments": {"Billing": "+1 (500) 555-0006", "Sales": "call us"}}),
            json!({"Billing": {"phoneNumber": "+15005550006"}, "note": "we are nice"}),
            json!({"Billing": "+15005550006", "hours": null}),
        ] {
            assert_eq!(routing(document.clone()).departments, billing, "{document}");
        }
        assert_eq!(routing(json!({})), CallRouting::default());
    }

    #[test]
    fn a_call_goes_where_the_organization_says_and_nowhere_else() {
        let routing = routing(json!({
            "departments": [
                {"name": "Billing and insurance", "phone": "+15005550001"},
                {"name": "Front desk", "phone": "+15005550002"},
            ],
            "default": "+15005550003",
        }));
        let alert = E164::new("+15005550004").unwrap();
        let check = |asked: Option<&str>, expected: &str| {
            let (_, number) = routing.destination(asked, Some(&alert)).unwrap();
            assert_eq!(number.as_str(), expected, "{asked:?}");
        };
        check(Some("the billing department"), "+15005550001");
        check(Some("Front Desk"), "+15005550002");
        check(Some("the zoo"), "+15005550003");
        check(Some("+15005550009"), "+15005550003");
        check(None, "+15005550003");
        let nothing = CallRouting::default();
        assert_eq!(nothing.destination(Some("billing"), Some(&alert)), Some((None, alert.clone())));
        assert_eq!(nothing.destination(None, None), None);
    }
}
