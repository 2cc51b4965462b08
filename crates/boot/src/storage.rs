//! Where files are kept.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    reader::Reader,
    sections::{http_url, secret, text},
};

/// Storage for files, and what opens it.
#[derive(Debug, Clone)]
pub struct Storage {
    /// `STORAGE_URL`: `file:///…` or `s3://bucket/folder`.
    pub url: Url,
    options: Vec<(&'static str, SecretString)>,
}

impl Storage {
    /// The bucket's service, by the names of its usual settings; without a key the machine's own role is used.
    const OPEN: [&str; 2] = ["AWS_REGION", "AWS_ACCESS_KEY_ID"];
    const SECRET: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        const ENDPOINT: &str = "AWS_ENDPOINT_URL";
        let url = reader.optional("STORAGE_URL", storage_url);
        let mut options = Vec::new();
        for name in Self::OPEN {
            options.extend(reader.optional(name, text).map(|value| (name, value.into())));
        }
        for name in Self::SECRET {
            options.extend(reader.optional(name, secret).map(|value| (name, value)));
        }
        if let Some(endpoint) = reader.optional(ENDPOINT, http_url) {
            if endpoint.scheme() == "http" {
                options.push(("AWS_ALLOW_HTTP", "true".to_owned().into()));
            }
            options.push((ENDPOINT, endpoint.as_str().trim_end_matches('/').to_owned().into()));
        }
        Some(Self { url: url?, options })
    }

    /// What the bucket's service is told, by lower-case names.
    pub fn options(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let told = |(name, value): &(&str, SecretString)| {
            (name.to_ascii_lowercase(), value.expose_secret().to_owned())
        };
        self.options.iter().map(told)
    }
}

fn storage_url(text: &str) -> Result<Url, String> {
    let rule = || "must be a URL like file:///var/lib/voxanne or s3://bucket/folder".to_owned();
    let url = Url::parse(text).map_err(|_| rule())?;
    let usable = match url.scheme() {
        "file" => url.to_file_path().is_ok_and(|path| path.is_absolute() && path.parent().is_some()),
        "s3" => url.host_str().is_some_and(|bucket| !bucket.is_empty()) && url.username().is_empty(),
        _ => false,
    };
    if usable { Ok(url) } else { Err(rule()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_is_a_directory_or_a_bucket() {
        for good in ["file:///var/lib/voxanne", "file:///tmp/x/", "s3://bucket", "s3://bucket/a/b"] {
            assert!(storage_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/var/lib",
            "file://",
            "file:///",
            "file://host/x",
            "s3://",
            "https://example.com/x",
            "memory:///",
        ] {
            assert!(storage_url(bad).is_err(), "{bad}");
        }
    }
}
