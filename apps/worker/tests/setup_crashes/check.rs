//! What must hold, looked at from outside: the providers against the database.

use std::collections::BTreeSet;

use serde_json::Value;
use voxanne_kernel::OrgScope;

use crate::world::World;

/// How a line may be at rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rest {
    /// One number and two assistants, with everything linked.
    Ready,
    /// Nothing at all.
    #[default]
    Nothing,
}

/// One organization's rows and what the providers hold of it.
struct Both {
    rows: Value,
    assistants: Vec<Value>,
    numbers: Vec<Value>,
    credentials: Vec<Value>,
    /// Those that are open.
    accounts: Vec<Value>,
}

type Ids = BTreeSet<String>;

const ROWS: &str = "select jsonb_build_object(
    'assistants', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from assistants t where org_id = $1),
    'purchases', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from managed_phone_numbers t where org_id = $1),
    'accounts', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from managed_telephony_accounts t where org_id = $1),
    'routes', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from phone_number_mapping t where org_id = $1),
    'slots', (select coalesce(jsonb_agg(to_jsonb(t) - 'sealed'), '[]') from org_credentials t where org_id = $1),
    'setup', (select to_jsonb(t) from setups t where org_id = $1),
    'steps', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from setup_steps t where org_id = $1),
    'mails', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from platform_mails t where org_id = $1),
    'tools', (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from vapi_tools t))";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn ids(rows: &[Value], field: &str) -> Ids {
    rows.iter().map(|row| text(&row[field])).filter(|id| !id.is_empty()).collect()
}

impl Both {
    async fn look(world: &World, scope: &OrgScope) -> Self {
        let org = scope.org();
        // The providers first: what is there has been written down before.
        let held = world.held().await;
        let rows: Value =
            sqlx::query_scalar(ROWS).bind(org.0).fetch_one(&mut *world.owner().await).await.unwrap();
        let (name, account_name) = (format!("org-{org}"), format!("voxanne-org:{org}"));
        let accounts: Vec<Value> = list(&held["twilio"]["accounts"])
            .into_iter()
            .filter(|account| account["friendlyName"] == *account_name && account["status"] != "closed")
            .collect();
        let (vapi, sids) = (&held["vapi"], ids(&accounts, "sid"));
        let is_ours = |number: &Value| {
            number["name"] == *name
                || sids.contains(&text(&number["twilioAccountSid"]))
                || list(&rows["purchases"]).iter().any(|row| row["phone_number"] == number["number"])
        };
        let of = |kind: &str, ours: &dyn Fn(&Value) -> bool| -> Vec<Value> {
            list(&vapi[kind]).into_iter().filter(|thing| ours(thing)).collect()
        };
        Self {
            assistants: of("assistants", &|assistant| assistant["metadata"]["org_id"] == *org.to_string()),
            numbers: of("phoneNumbers", &is_ours),
            credentials: of("credentials", &|held| text(&held["name"]).ends_with(&org.to_string())),
            rows,
            accounts,
        }
    }

    fn rows(&self, kind: &str) -> Vec<Value> {
        list(&self.rows[kind])
    }

    fn bought(&self) -> Vec<Value> {
        self.accounts.iter().flat_map(|account| list(&account["incomingPhoneNumbers"])).collect()
    }

    fn slot(&self, provider: &str) -> Value {
        self.rows("slots").into_iter().find(|slot| slot["provider"] == provider).unwrap_or_default()
    }
}

/// Collects what does not hold.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, held: &T, recorded: &T) {
        if held != recorded {
            self.0.push(format!("{what}: the providers have {held:?}, the database has {recorded:?}"));
        }
    }

    fn that(&mut self, what: &str, holds: bool) {
        if !holds {
            self.0.push(what.to_owned());
        }
    }
}

/// While processes come and go: whatever a provider holds, a row says so, or that it may be there.
pub(crate) async fn nothing_unknown(world: &World, scope: &OrgScope) -> Vec<String> {
    let both = Both::look(world, scope).await;
    let mut wrong = Complaints::default();
    let (purchases, assistants) = (both.rows("purchases"), both.rows("assistants"));
    for number in both.bought() {
        let knows = |row: &Value| {
            row["tag"] == number["friendly_name"]
                && ["buying", "active", "releasing"].contains(&text(&row["status"]).as_str())
        };
        wrong.that(&format!("no row knows of the number {}", number["sid"]), purchases.iter().any(knows));
    }
    for assistant in &both.assistants {
        let kind = &assistant["metadata"]["kind"];
        let knows = |row: &Value| {
            row["vapi_assistant_id"] == assistant["id"]
                || row["kind"] == *kind && !row["create_attempted_at"].is_null()
        };
        let is_known = assistants.iter().any(knows);
        wrong.that(&format!("no row knows of the {kind} assistant {}", assistant["id"]), is_known);
    }
    for number in both.numbers.iter().filter(|number| number["provider"] == "twilio") {
        let knows = |row: &Value| {
            row["phone_number"] == number["number"]
                && ["buying", "active", "releasing"].contains(&text(&row["status"]).as_str())
        };
        let is_known = purchases.iter().any(knows);
        wrong.that(&format!("no row knows of the imported number {}", number["id"]), is_known);
    }
    wrong.that("no row knows of an account", both.accounts.is_empty() || !both.rows("accounts").is_empty());
    wrong.0
}

/// At rest: what the providers hold is what the database says, and it is all or nothing.
pub(crate) async fn at_rest(world: &World, scope: &OrgScope) -> Result<Rest, Vec<String>> {
    let both = Both::look(world, scope).await;
    let mut wrong = Complaints::default();
    accounts(&both, &mut wrong);
    numbers(&both, &mut wrong);
    assistants(&both, &mut wrong);
    credentials(&both, &mut wrong);
    tools(&both, &world.held().await, &mut wrong);
    let rest = match (both.bought().len(), both.numbers.len(), both.assistants.len()) {
        (0, 0, 0) => Rest::Nothing,
        (0 | 1, 1, 2) => {
            linked(&both, &mut wrong);
            Rest::Ready
        }
        (bought, imported, assistants) => {
            wrong.0.push(format!("{bought} bought and {imported} imported numbers, {assistants} assistants"));
            return Err(wrong.0);
        }
    };
    recorded(&both, rest, &mut wrong);
    if wrong.0.is_empty() { Ok(rest) } else { Err(wrong.0) }
}

/// The setup itself says the same, and its owner was told once.
fn recorded(both: &Both, rest: Rest, wrong: &mut Complaints) {
    let (setup, steps) = (&both.rows["setup"], both.rows("steps"));
    let told = |kind: &str| both.rows("mails").iter().filter(|mail| mail["kind"] == kind).count();
    let (ready, failed) = (told("set_up_succeeded"), told("set_up_failed"));
    match rest {
        Rest::Ready => {
            wrong.that("the setup is not active", setup["status"] == "active");
            let number = both.numbers[0].clone();
            wrong.that("the setup names another number", setup["phone_number"] == number["number"]);
            wrong.that("the setup names another id", setup["vapi_phone_id"] == number["id"]);
            for kind in ["inbound", "outbound"] {
                let is_it = |assistant: &Value| {
                    assistant["id"] == setup[format!("{kind}_id")] && assistant["metadata"]["kind"] == *kind
                };
                wrong.that("the setup names another assistant", both.assistants.iter().any(is_it));
            }
            wrong.that("a step is not done", steps.iter().all(|step| step["status"] == "done"));
            wrong.equal("mails", &(ready, failed), &(1, 0));
        }
        Rest::Nothing => {
            let has_failed = setup["status"] == "failed";
            wrong.that("the setup is not over", has_failed || setup["status"] == "inactive");
            wrong.that(
                "the setup holds something",
                ["phone_number", "vapi_phone_id", "inbound_id", "outbound_id"]
                    .iter()
                    .all(|field| setup[field].is_null()),
            );
            let is_over = |step: &Value| step["status"] != "done" && step["status"] != "running";
            wrong.that("a step is not undone", steps.iter().all(is_over));
            wrong.equal("mails", &(ready, failed), &if has_failed { (0, 1) } else { (1, 0) });
        }
    }
}

fn accounts(both: &Both, wrong: &mut Complaints) {
    let recorded = ids(&both.rows("accounts"), "twilio_account_sid");
    wrong.equal("accounts", &ids(&both.accounts, "sid"), &recorded);
    wrong.that("more than one account", both.accounts.len() <= 1);
    let slot = both.slot("twilio");
    if slot["is_active"] == true {
        let kept = text(&slot["metadata"]["accountSid"]);
        wrong.that(&format!("the slot holds the account {kept}"), recorded.contains(&kept));
    }
}

fn numbers(both: &Both, wrong: &mut Complaints) {
    let whole = |number: &Value, fields: [&str; 5]| fields.map(|field| text(&number[field])).join(" ");
    let bought: Ids = both
        .bought()
        .iter()
        .map(|number| whole(number, ["sid", "phone_number", "account_sid", "friendly_name", "sms_url"]))
        .collect();
    let live: Vec<Value> = both
        .rows("purchases")
        .into_iter()
        .filter(|row| !["released", "failed"].contains(&text(&row["status"]).as_str()))
        .collect();
    let recorded: Ids = live
        .iter()
        .map(|row| whole(row, ["twilio_number_sid", "phone_number", "twilio_account_sid", "tag", "sms_url"]))
        .collect();
    wrong.equal("bought numbers", &bought, &recorded);
    let is_here = |row: &Value| text(&row["sms_url"]).contains("/webhooks/messaging/twilio/");
    wrong.that("texts are brought elsewhere", live.iter().all(is_here));
    wrong.that("a purchase is not at rest", live.iter().all(|row| row["status"] == "active"));
    let pair = |id: &Value, digits: &Value| format!("{} {}", text(id), text(digits));
    let held: Ids = both.numbers.iter().map(|number| pair(&number["id"], &number["number"])).collect();
    let routed: Ids =
        both.rows("routes").iter().map(|row| pair(&row["vapi_phone_id"], &row["phone_number"])).collect();
    wrong.equal("imported and routed numbers", &held, &routed);
    let imported: Ids = both
        .numbers
        .iter()
        .filter(|number| number["twilioAccountSid"].is_string())
        .map(|number| pair(&number["id"], &number["number"]))
        .collect();
    let active: Ids = live.iter().map(|row| pair(&row["vapi_phone_id"], &row["phone_number"])).collect();
    wrong.equal("imported and bought numbers", &imported, &active);
}

fn assistants(both: &Both, wrong: &mut Complaints) {
    let pair = |id: &Value, kind: &Value| format!("{} {}", text(kind), text(id));
    let held: Ids = both
        .assistants
        .iter()
        .map(|assistant| pair(&assistant["id"], &assistant["metadata"]["kind"]))
        .collect();
    let recorded: Ids = both
        .rows("assistants")
        .iter()
        .filter(|row| row["vapi_assistant_id"].is_string())
        .map(|row| pair(&row["vapi_assistant_id"], &row["kind"]))
        .collect();
    wrong.equal("assistants", &held, &recorded);
    let is_settled = |row: &Value| row["create_attempted_at"].is_null();
    wrong.that("an assistant's creation is not settled", both.rows("assistants").iter().all(is_settled));
}

fn credentials(both: &Both, wrong: &mut Complaints) {
    let of = |provider: &str| -> Ids {
        let ours = both.credentials.iter().filter(|held| held["provider"] == provider);
        ours.map(|held| text(&held["id"])).collect()
    };
    let accounts = ids(&both.rows("accounts"), "vapi_credential_id");
    wrong.equal("accounts known to Vapi", &of("twilio"), &accounts);
    let signing = text(&both.slot("vapi_webhook")["metadata"]["provider_credential_id"]);
    let signing: Ids = std::iter::once(signing).filter(|id| !id.is_empty()).collect();
    wrong.equal("signing credentials", &of("custom-credential"), &signing);
}

/// They are everybody's.
fn tools(both: &Both, held: &Value, wrong: &mut Complaints) {
    let tools = list(&held["vapi"]["tools"]);
    wrong.equal("tools", &ids(&tools, "id"), &ids(&both.rows("tools"), "vapi_tool_id"));
    let names: Ids = tools.iter().map(|tool| text(&tool["function"]["name"])).collect();
    wrong.that("a tool is there twice", names.len() == tools.len());
}

fn linked(both: &Both, wrong: &mut Complaints) {
    let kinds: Vec<String> = {
        let mut kinds: Vec<_> =
            both.assistants.iter().map(|assistant| text(&assistant["metadata"]["kind"])).collect();
        kinds.sort();
        kinds
    };
    wrong.that("there is not an assistant of each kind", kinds == ["inbound", "outbound"]);
    let inbound = both.assistants.iter().find(|assistant| assistant["metadata"]["kind"] == "inbound");
    let number = &both.numbers[0];
    wrong.that(
        "the number is not answered by the inbound assistant",
        inbound.is_some_and(|inbound| inbound["id"] == number["assistantId"]),
    );
    let tools = ids(&both.rows("tools"), "vapi_tool_id");
    let signing = &both.slot("vapi_webhook")["metadata"]["provider_credential_id"];
    for assistant in &both.assistants {
        let kind = text(&assistant["metadata"]["kind"]);
        let carried: Ids = list(&assistant["model"]["toolIds"]).iter().map(text).collect();
        wrong.that(&format!("the {kind} assistant does not carry every tool"), carried == tools);
        let signs = assistant["server"]["credentialId"] == *signing;
        wrong.that(&format!("the {kind} assistant does not sign with the organization's credential"), signs);
    }
    let Some(bought) = both.bought().into_iter().next() else { return };
    wrong.that(
        "the number does not ring where it was bought",
        number["twilioAccountSid"] == bought["account_sid"],
    );
    let at_vapi = text(&bought["voice_url"]).contains("/vapi/");
    wrong.that("the carrier does not send the number's calls to Vapi", at_vapi);
    let slot = both.slot("twilio");
    wrong.that("the account is not in use", slot["is_active"] == true && slot["source"] == "managed");
}
