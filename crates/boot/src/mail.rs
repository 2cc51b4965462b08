//! The platform's own account for mails, and what stands on them.

use secrecy::SecretString;
use voxanne_kernel::EmailAddress;

use crate::{reader::Reader, sections::secret};

/// Who our mails come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The name that people see.
    pub name: String,
    /// The address.
    pub address: EmailAddress,
}

/// The platform's account for mails.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its key at Resend.
    pub api_key: SecretString,
    /// Who our mails come from.
    pub from: Sender,
    /// Where people get help.
    pub support: EmailAddress,
}

impl Mail {
    /// Without a key and a sender there is no account, and nothing else is needed.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let api_key = reader.optional("RESEND_API_KEY", secret);
        let from = reader.optional("ADMIN_EMAIL_FROM_USER", sender);
        let support = reader.optional("SUPPORT_EMAIL", address);
        reader.has_whole("RESEND_API_KEY", &["ADMIN_EMAIL_FROM_USER"]);
        let (api_key, from) = api_key.zip(from)?;
        let support = support.unwrap_or_else(|| from.address.clone());
        Some(Self { api_key, from, support })
    }
}

fn address(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::new(text).map_err(|error| error.to_string())
}

/// `hello@example.com` or `Voxanne <hello@example.com>`. The name is one that needs no quotes in a header.
pub(crate) fn sender(text: &str) -> Result<Sender, String> {
    let rule = || "must be an e-mail address, alone or as `Name <name@example.com>`".to_owned();
    let (name, bare) = match text.strip_suffix('>') {
        Some(text) => text.split_once('<').ok_or_else(rule)?,
        None => ("", text),
    };
    let name = name.trim();
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || " -_&'!".contains(c));
    if !is_plain {
        return Err(rule());
    }
    let name = if name.is_empty() { "Voxanne" } else { name };
    Ok(Sender { name: name.to_owned(), address: EmailAddress::new(bare.trim()).map_err(|_| rule())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let read = sender(text).ok();
            let read = read.as_ref().map(|sender| (sender.name.as_str(), sender.address.as_str()));
            assert_eq!(read, expected, "{text}");
        };
        check("hello@example.com", Some(("Voxanne", "hello@example.com")));
        check("Voxanne & Co <Hello@Example.com>", Some(("Voxanne & Co", "hello@example.com")));
        check("<hello@example.com>", Some(("Voxanne", "hello@example.com")));
        check("Voxanne", None);
        check("a, b <hello@example.com>", None);
        check("\"a\" <hello@example.com>", None);
        check("a <b> <hello@example.com>", None);
        check("Voxanne hello@example.com>", None);
    }
}
