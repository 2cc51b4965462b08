//! What may be a template, and what comes out of it.

use proptest::prelude::*;
use voxanne_kernel::ids::TemplateId;
use voxanne_messaging::{
    channel::Channel,
    templates::{NewTemplate, Pattern, RenderError, Template, TemplateName, Variables},
};

fn template(channel: Channel, subject: Option<&str>, body: &str) -> Template {
    let at = "2026-11-21T12:00:00Z".parse().unwrap();
    Template {
        id: TemplateId::generate(),
        name: TemplateName::new("Reminder").unwrap(),
        channel,
        subject: subject.map(str::to_owned),
        body: body.to_owned(),
        version: 1,
        created_at: at,
        updated_at: at,
    }
}

fn values(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn refusal(channel: Channel, subject: Option<&str>, body: &str) -> (&'static str, String) {
    let name = TemplateName::new("Reminder").unwrap();
    let bad = NewTemplate::new(name, channel, subject.map(str::to_owned), body.to_owned()).unwrap_err();
    (bad.field, bad.rule)
}

#[test]
fn values_are_put_in_once() {
    let text = template(Channel::Sms, None, "Hi {{name}}, see you {{ when }}. {{name}}!");
    assert_eq!(text.variables(), ["name", "when"]);
    let rendered = text.render(&values(&[("name", "{{when}}"), ("when", "$1 at 3"), ("more", "x")])).unwrap();
    assert_eq!(rendered.text, "Hi {{when}}, see you $1 at 3. {{when}}!");
    assert_eq!((rendered.subject, rendered.html), (None, None));
}

#[test]
fn everything_that_is_missing_is_named() {
    let mail = template(Channel::Email, Some("For {{who}}"), "<p>{{b}} {{a}}</p>");
    let Err(RenderError::Missing(missing)) = mail.render(&values(&[("a", "1")])) else {
        panic!("must be missed")
    };
    assert_eq!(missing.0, ["b", "who"]);
}

#[test]
fn a_value_is_never_more_than_text_in_html() {
    let mail =
        template(Channel::Email, Some("Hello {{name}}"), "<p title=\"{{name}}\">Dear {{name}},<br>bye</p>");
    let hostile = "<script>alert('1')</script>\"&\r\nBcc: x@y.zz";
    let rendered = mail.render(&values(&[("name", hostile)])).unwrap();
    let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\r\nBcc: x@y.zz";
    assert_eq!(rendered.html.unwrap(), format!("<p title=\"{escaped}\">Dear {escaped},<br>bye</p>"));
    assert_eq!(rendered.subject.unwrap(), "Hello <script>alert('1')</script>\"& Bcc: x@y.zz");
    assert!(
        rendered.text.contains("Dear <script>alert('1')</script>\"& Bcc: x@y.zz,\nbye"),
        "{}",
        rendered.text
    );
}

#[test]
fn plain_text_becomes_html_too() {
    let mail = template(Channel::Email, Some("Hi"), "Dear {{name}},\n\n2 < 3");
    let rendered = mail.render(&values(&[("name", "<b>Ann</b>")])).unwrap();
    assert_eq!(rendered.text, "Dear <b>Ann</b>,\n\n2 < 3");
    assert_eq!(rendered.html.unwrap(), "Dear &lt;b&gt;Ann&lt;/b&gt;,<br>\n<br>\n2 &lt; 3");
}

#[test]
fn html_has_a_plain_part() {
    let body = "<html><head><style>p { color: red }</style><title>x</title></head><body><h1>Hello</h1>\n<p>One\n  two &amp; three</p><ul><li>a</li><li>b</li></ul></body></html>";
    let rendered = template(Channel::Email, Some("Hi"), body).render(&Variables::new()).unwrap();
    assert_eq!(rendered.text, "Hello\n\nOne two & three\n\n- a\n- b");
}

#[test]
fn what_comes_out_has_to_be_something_that_can_be_sent() {
    let long = "a".repeat(1_600);
    let text = template(Channel::Sms, None, "{{a}}!");
    assert!(matches!(text.render(&values(&[("a", &long)])), Err(RenderError::Content(_))));
    assert!(matches!(
        template(Channel::Sms, None, "{{a}}").render(&values(&[("a", " ")])),
        Err(RenderError::Content(_))
    ));
    let subject = template(Channel::Email, Some("{{a}}"), "x").render(&values(&[("a", "\r\n")]));
    assert!(matches!(subject, Err(RenderError::Content(bad)) if bad.field == "subject"));
}

#[test]
fn what_cannot_be_a_template_is_refused_with_its_field() {
    let field = |channel, subject, body| refusal(channel, subject, body).0;
    assert_eq!(field(Channel::Sms, Some("x"), "x"), "subject");
    assert_eq!(field(Channel::Email, None, "x"), "subject");
    assert_eq!(field(Channel::Email, Some("a\nb"), "x"), "subject");
    assert_eq!(field(Channel::Email, Some("{{"), "x"), "subject");
    assert_eq!(field(Channel::Sms, None, ""), "body");
    assert_eq!(field(Channel::Sms, None, "{{name"), "body");
    assert_eq!(field(Channel::Sms, None, "{{#if x}}y{{/if}}"), "body");
    assert_eq!(field(Channel::Sms, None, "{{}}"), "body");
    let long = "a".repeat(1_601);
    assert_eq!(field(Channel::Sms, None, &long), "body");
    let many = (0..51).map(|i| format!("{{{{v{i}}}}}")).collect::<Vec<_>>().join(" ");
    assert_eq!(field(Channel::Sms, None, &many), "body");
    let (field, rule) = refusal(Channel::Sms, None, "Reply CANCEL to cancel");
    assert_eq!(field, "body");
    assert!(rule.contains("CANCEL"), "{rule}");
    for bad in ["", " ", "a\nb"] {
        assert!(TemplateName::new(bad).is_err(), "{bad:?}");
    }
    let name = TemplateName::new(" Reminder ").unwrap();
    assert_eq!(name.as_str(), "Reminder");
    assert!(
        NewTemplate::new(name, Channel::Email, Some("s".into()), "Reply CANCEL to cancel".into()).is_ok()
    );
}

proptest! {
    #[test]
    fn no_value_adds_a_tag(value: String) {
        let mail = template(Channel::Email, Some("x"), "<p a=\"{{v}}\" b='{{v}}'>{{v}}</p>");
        if let Ok(rendered) = mail.render(&values(&[("v", &value)])) {
            let html = rendered.html.unwrap();
            let of = |c: char| html.matches(c).count();
            prop_assert_eq!((of('<'), of('>'), of('"'), of('\''), of('`')), (2, 2, 2, 2, 0));
        }
    }

    #[test]
    fn no_value_adds_a_line_to_a_subject(value: String) {
        let mail = template(Channel::Email, Some("For {{v}}"), "x");
        if let Ok(rendered) = mail.render(&values(&[("v", &value)])) {
            prop_assert!(!rendered.subject.unwrap().contains(char::is_control));
        }
    }

    #[test]
    fn a_text_without_places_is_itself(text in "[^{]{1,200}") {
        prop_assume!(!text.trim().is_empty() && !text.contains('\0'));
        let rendered = template(Channel::Whatsapp, None, &text).render(&Variables::new()).unwrap();
        prop_assert_eq!(rendered.text, text);
    }

    #[test]
    fn reading_any_text_ends(text: String) {
        let _ = Pattern::new(&text);
        let _ = template(Channel::Email, Some("x"), &text).render(&Variables::new());
    }
}
