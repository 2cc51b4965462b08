//! Messages to WhatsApp: what Meta takes, and what it says of the rest.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Account, Answer, Refusal, caller, check_path};
use crate::messaging::Parameters;
use crate::messaging::texts::{self, Carrier, Text};
use crate::world::{Shared, World};

/// How long after their last message somebody may be written to freely.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// The longest text.
const LONGEST: usize = 4_096;
/// The longest of what is told again.
const LONGEST_DATA: usize = 512;
/// What this API carries and the sandbox does not.
const OTHER_TYPES: &[&str] =
    &["audio", "contacts", "document", "image", "interactive", "location", "reaction", "sticker", "video"];

/// A text that Meta has approved, or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Template {
    pub(super) name: String,
    #[serde(default = "usual_language")]
    pub(super) language: String,
    /// How many words are filled in.
    #[serde(default)]
    pub(super) parameters: usize,
    /// As in Meta's document.
    #[serde(default = "usual_status")]
    pub(super) status: String,
}

fn usual_language() -> String {
    "en_US".to_owned()
}

fn usual_status() -> String {
    "APPROVED".to_owned()
}

pub(super) fn usual_templates() -> Vec<Template> {
    let template = |name: &str, parameters| Template {
        name: name.to_owned(),
        language: usual_language(),
        parameters,
        status: usual_status(),
    };
    vec![template("hello_world", 0), template("appointment_reminder", 2)]
}

pub(super) async fn send(
    State(world): State<Shared>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let account = caller(&world, &headers)?;
    check_path(&version, &id)?;
    let number = account.phone_numbers.iter().find(|number| number.id == id).ok_or_else(|| {
        let problem = format!("Unsupported post request. Object with ID '{id}' does not exist");
        Refusal { subcode: Some(33), ..Refusal::new(StatusCode::BAD_REQUEST, 100, &problem) }
    })?;
    let message: Value = serde_json::from_slice(&bytes)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, 100, "(#100) Invalid JSON"))?;
    let taken = check(&account, &message)?;
    if let Some(code) = Account::texts(&world).lock().plan.refusal(&taken.to) {
        return Err(refused(code));
    }
    let id = format!("wamid.{}", STANDARD.encode(format!("HBgL{}", world.ids.word(30))));
    let too_late: &[&str] = &["failed:131047"];
    let instead = (taken.free && !is_open(&world, &taken.to)).then_some(too_late);
    let text = Text {
        id: id.clone(),
        account: account.access_token.clone(),
        from: number.displayed.clone(),
        to: taken.to.clone(),
        body: taken.text,
        at: world.clock.now(),
        status: "accepted".to_owned(),
        more: json!({
            "phoneNumberId": number.id,
            "data": message.get("biz_opaque_callback_data"),
            "template": message["template"].get("name"),
        }),
    };
    texts::take(&world, &account, text, instead);
    Ok(Json(json!({
        "messaging_product": "whatsapp",
        "contacts": [{ "input": message["to"], "wa_id": taken.to }],
        "messages": [{ "id": id }],
    })))
}

/// Whether somebody wrote within a day, so that they may be written to freely.
fn is_open(world: &World, to: &str) -> bool {
    let now = world.clock.now();
    let texts = Account::texts(world).lock();
    texts.inbound.get(to).is_some_and(|at| now.duration_since(*at) < WINDOW)
}

/// A message that is in order.
struct Taken {
    /// Digits.
    to: String,
    text: String,
    /// Whether it is no template.
    free: bool,
}

fn check(account: &Account, message: &Value) -> Result<Taken, Refusal> {
    let bad = |code, problem: &str, details: &str| {
        Err(Refusal::detailed(StatusCode::BAD_REQUEST, code, problem, details))
    };
    if message["messaging_product"] != "whatsapp" {
        return bad(100, "The parameter messaging_product is required.", "messaging_product");
    }
    if !matches!(message["recipient_type"].as_str(), None | Some("individual")) {
        return bad(131_009, "Parameter value is not valid", "recipient_type");
    }
    let Some(given) = message["to"].as_str().filter(|to| !to.is_empty()) else {
        return bad(100, "The parameter to is required.", "to");
    };
    let to = given.trim_start_matches('+').to_owned();
    if !(7..=15).contains(&to.len()) || !to.bytes().all(|digit| digit.is_ascii_digit()) {
        return bad(131_009, "Parameter value is not valid", "to: not a phone number");
    }
    let data = &message["biz_opaque_callback_data"];
    if !data.is_null() && data.as_str().is_none_or(|data| data.len() > LONGEST_DATA) {
        return bad(100, "Invalid parameter", "biz_opaque_callback_data: at most 512 characters");
    }
    if account
        .allowed_recipients
        .as_ref()
        .is_some_and(|allowed| !allowed.iter().any(|allowed| allowed.trim_start_matches('+') == to))
    {
        return bad(131_030, "Recipient phone number not in allowed list", "Add it to the recipients");
    }
    match message["type"].as_str().unwrap_or("text") {
        "text" => {
            let body = message["text"]["body"].as_str().unwrap_or_default();
            if body.is_empty() {
                return bad(100, "The parameter text['body'] is required.", "text.body");
            }
            if body.chars().count() > LONGEST {
                return bad(100, "Param text['body'] must be at most 4096 characters long.", "text.body");
            }
            Ok(Taken { to, text: body.to_owned(), free: true })
        }
        "template" => account.template(&message["template"]).map(|text| Taken { to, text, free: false }),
        kind if OTHER_TYPES.contains(&kind) => bad(131_051, "Unsupported message type", "not in the sandbox"),
        _ => bad(100, "Param type must be one of the message types", "type"),
    }
}

impl Account {
    /// What the template says, filled in.
    fn template(&self, given: &Value) -> Result<String, Refusal> {
        let bad = |code, problem: &str| {
            let status = if code == 132_001 { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
            let details = "see the templates of the business account";
            Err(Refusal { kind: "OAuthException", ..Refusal::detailed(status, code, problem, details) })
        };
        let (Some(name), Some(language)) = (given["name"].as_str(), given["language"]["code"].as_str())
        else {
            return bad(131_008, "Required parameter is missing");
        };
        let known = self.templates.iter().find(|known| known.name == name && known.language == language);
        let Some(known) = known else {
            return bad(132_001, "Template name does not exist in the translation");
        };
        match known.status.as_str() {
            "APPROVED" => {}
            "PAUSED" => return bad(132_015, "Template is paused"),
            "DISABLED" => return bad(132_016, "Template is disabled"),
            _ => return bad(132_001, "Template name does not exist in the translation"),
        }
        let components = given["components"].as_array().into_iter().flatten();
        let mut words = Vec::new();
        for component in components.filter(|component| component["type"] == "body") {
            for parameter in component["parameters"].as_array().into_iter().flatten() {
                let text = parameter["text"].as_str().filter(|text| !text.is_empty());
                let (Some(text), true) = (text, parameter["type"] == "text") else {
                    return bad(131_008, "Required parameter is missing");
                };
                // What would break the template's own lines.
                if text.contains(['\n', '\t']) || text.contains("    ") {
                    return bad(132_012, "Parameter format does not match format in the created template");
                }
                words.push(text.to_owned());
            }
        }
        if words.len() != known.parameters {
            return bad(132_000, "Number of parameters does not match the expected number of params");
        }
        Ok(format!("{name}: {}", words.join(", ")))
    }
}

/// A refusal that a rehearsal asked for.
fn refused(code: u32) -> Refusal {
    let status = match code {
        0 | 190 => StatusCode::UNAUTHORIZED,
        3 | 10 | 200..=299 | 368 | 131_031 => StatusCode::FORBIDDEN,
        4 | 80_007 | 130_429 | 131_048 | 131_056 => StatusCode::TOO_MANY_REQUESTS,
        1 | 2 | 131_000 | 131_016 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::detailed(status, code, "The message was refused", "a rehearsal said so")
}

pub(super) async fn templates(
    State(world): State<Shared>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Answer {
    let account = caller(&world, &headers)?;
    check_path(&version, &id)?;
    if account.business_account_id != id {
        return Err(Refusal::missing("WhatsApp Business Account not found"));
    }
    account.allows()?;
    let asked = query.get("name");
    let shown = account.templates.iter().filter(|known| asked.is_none_or(|asked| known.name == *asked));
    let shown = shown.enumerate().map(|(index, known)| {
        let words: Vec<_> = (1..=known.parameters).map(|word| format!("{{{{{word}}}}}")).collect();
        json!({
            "id": (594_425_479_261_596_u64 + u64::try_from(index).unwrap_or_default()).to_string(),
            "name": known.name,
            "language": known.language,
            "status": known.status,
            "category": "UTILITY",
            "components": [{ "type": "BODY", "text": format!("{}: {}", known.name, words.join(", ")) }],
        })
    });
    Ok(Json(json!({ "data": shown.collect::<Vec<_>>(), "paging": { "cursors": {} } })))
}
