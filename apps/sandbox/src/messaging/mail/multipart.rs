//! Forms in either of their two shapes.

use serde_json::{Value, json};

/// A field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) file: Option<File>,
    pub(super) text: String,
}

/// What makes a field a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
}

/// The fields of a body of this type; none where it is no form.
pub(super) fn read(content_type: &str, body: &[u8]) -> Option<Vec<Field>> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/x-www-form-urlencoded" => {
            let pairs = url::form_urlencoded::parse(body).into_owned();
            Some(pairs.map(|(name, text)| Field { name, file: None, text }).collect())
        }
        "multipart/form-data" => {
            let boundary = parameter(content_type, "boundary")?;
            parts(body, format!("--{boundary}").as_bytes())
        }
        _ => None,
    }
}

fn parts(body: &[u8], delimiter: &[u8]) -> Option<Vec<Field>> {
    let mut rest = &body[find(body, delimiter)? + delimiter.len()..];
    let mut fields = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, &[b"\r\n", delimiter].concat())?;
        fields.push(field(&part[..end])?);
        rest = &part[end + 2 + delimiter.len()..];
    }
    rest.starts_with(b"--").then_some(fields)
}

fn field(part: &[u8]) -> Option<Field> {
    let end = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..end]).ok()?;
    let content = &part[end + 4..];
    let header = |wanted: &str| {
        head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let disposition = header("content-disposition")?;
    let name = parameter(disposition, "name")?;
    let file = parameter(disposition, "filename").map(|name| File {
        name,
        content_type: header("content-type").unwrap_or("application/octet-stream").to_owned(),
        bytes: content.to_vec(),
    });
    let text = if file.is_some() { String::new() } else { String::from_utf8(content.to_vec()).ok()? };
    Some(Field { name, file, text })
}

/// A parameter of a header, quoted or not.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The fields as a rehearsal sees them: files by name, type and size.
pub(super) fn shown(fields: &[&Field]) -> Value {
    let shown = fields.iter().map(|field| match &field.file {
        None => json!([field.name, field.text]),
        Some(file) => {
            let size = file.bytes.len();
            json!([field.name, { "name": file.name, "contentType": file.content_type, "size": size }])
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_are_read() {
        let text =
            |name: &str, text: &str| Field { name: name.to_owned(), file: None, text: text.to_owned() };
        let short = read("application/x-www-form-urlencoded; charset=utf-8", b"to=a%40b.cd&to=c&v:x=1");
        assert_eq!(short.unwrap(), [text("to", "a@b.cd"), text("to", "c"), text("v:x", "1")]);
        let body = b"--x\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\na@b.cd\r\n\
            --x\r\ncontent-disposition: form-data; name=\"attachment\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\
            1\r\n2\r\n--x--\r\n";
        let fields = read("multipart/form-data; boundary=\"x\"", body).unwrap();
        assert_eq!(fields[0], text("to", "a@b.cd"));
        assert_eq!(fields[1].file.as_ref().unwrap().bytes, b"1\r\n2");
        assert_eq!(
            shown(&[&fields[1]])[0][1],
            json!({ "name": "a.txt", "contentType": "text/plain", "size": 4 })
        );
    }

    #[test]
    fn what_is_cut_off_is_no_form() {
        for body in [&b""[..], b"--x", b"--x\r\n", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb"]
        {
            assert_eq!(read("multipart/form-data; boundary=x", body), None);
        }
        assert_eq!(read("application/json", b"{}"), None);
        assert_eq!(read("multipart/form-data", b""), None);
    }
}
