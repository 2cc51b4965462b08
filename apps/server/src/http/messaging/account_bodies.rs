//! What an account is added and changed with: one body for each channel, whose fields depend on the provider.

#![expect(dead_code, reason = "describes bodies; they are read by what the provider's own takes")]

/// Two bodies with the same fields: one that adds and so has to name the provider, one that changes.
macro_rules! bodies {
    (
        $(#[$add_meta:meta])* add $add:ident as $add_name:ident;
        $(#[$change_meta:meta])* change $change:ident as $change_name:ident;
        $(#[$type_meta:meta])* provider;
        $($(#[$meta:meta])* $field:ident: $kind:ty,)+
    ) => {
        $(#[$add_meta])*
        #[derive(Debug, utoipa::ToSchema)]
        #[schema(as = $add_name, rename_all = "camelCase")]
        pub(super) struct $add {
            $(#[$type_meta])*
            provider_type: String,
            $($(#[$meta])* $field: Option<$kind>,)+
        }

        $(#[$change_meta])*
        #[derive(Debug, utoipa::ToSchema)]
        #[schema(as = $change_name, rename_all = "camelCase")]
        pub(super) struct $change {
            /// Cannot be changed; may be repeated.
            provider_type: Option<String>,
            $($(#[$meta])* $field: Option<$kind>,)+
        }
    };
}

bodies! {
    /// An account for texts as it is added: whom with, what it takes to use it, and in which order it is asked. Fields
    /// that are another provider's are ignored, and so is null.
    add AddSmsBody as AddSmsProviderBody;
    /// What is to be different of an account for texts. What is left out or null stays.
    change ChangeSmsBody as ChangeSmsProviderBody;
    /// `TWILIO`, `AFRICASTALKING` or `TERMII`, in any case.
    #[schema(example = "TWILIO")]
    provider;
    /// Twilio: `AC…`.
    account_sid: String,
    /// Twilio.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    auth_token: String,
    /// Africa's Talking and Termii.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    api_key: String,
    /// Africa's Talking: the application's name.
    #[schema(example = "clinic")]
    username: String,
    /// Whom texts come from. Twilio: the number, E.164. Termii: the sender id. Africa's Talking: a sender id or short
    /// code, its own choice unless given.
    #[schema(example = "+15005550006")]
    from_number: String,
    /// Termii: the account's own address.
    #[schema(example = "https://v3.api.termii.com")]
    base_url: String,
    /// Termii: `generic`, `dnd` or `whatsapp`; `generic` unless given.
    #[schema(example = "generic")]
    sender_channel: String,
    /// Africa's Talking: what our address for its delivery events contains. Termii: what they are signed with.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    webhook_secret: String,
    /// 0 to 1,000; 100 unless given. The lowest is asked first.
    priority: i32,
    /// Whether it is asked; true unless given.
    is_active: bool,
}

bodies! {
    /// An account for e-mails as it is added: whom with, what it takes to use it, and in which order it is asked.
    /// Fields that are another provider's are ignored, and so is null.
    add AddEmailBody as AddEmailProviderBody;
    /// What is to be different of an account for e-mails. What is left out or null stays.
    change ChangeEmailBody as ChangeEmailProviderBody;
    /// `resend`, `sendgrid`, `mailgun`, `smtp`, `postmark` or `ses`, in any case.
    #[schema(example = "resend")]
    provider;
    /// Resend, SendGrid and Mailgun: the key. Postmark: the server's token.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    api_key: String,
    /// SES.
    access_key_id: String,
    /// SES.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    secret_access_key: String,
    /// Mailgun: the domain that messages are sent through.
    #[schema(example = "mg.clinic.example")]
    domain: String,
    /// Mailgun: `us` or `eu`, `us` unless given. SendGrid: `global` or `eu`, `global` unless given. SES: a region of
    /// Amazon's.
    #[schema(example = "eu")]
    region: String,
    /// SES: the configuration set that delivery events are published for.
    configuration_set: String,
    /// SES: the topic that delivery events come through.
    topic_arn: String,
    /// Whom e-mails come from; needed for every provider.
    #[schema(example = "desk@clinic.example")]
    from_email: String,
    /// The name beside it.
    from_name: String,
    /// A mail server's name.
    #[schema(example = "smtp.clinic.example")]
    smtp_host: String,
    /// 465 with `implicit`, 587 with `starttls`, unless given.
    smtp_port: u16,
    /// Who signs in there.
    smtp_username: String,
    /// What they sign in with.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    smtp_password: String,
    /// `starttls` or `implicit`; by the port unless given. Plain text is never used.
    #[schema(example = "starttls")]
    smtp_tls: String,
    /// The older form: true is `implicit`, false is `starttls`.
    #[schema(deprecated)]
    smtp_secure: bool,
    /// What delivery events are checked with. Resend: the signing secret. Mailgun: the webhook signing key. SendGrid:
    /// the public key. Postmark: what its webhook presents.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    webhook_secret: String,
    /// Mailgun: the host of counted links.
    tracking_domain: String,
    /// 0 to 1,000; 100 unless given. The lowest is asked first.
    priority: i32,
    /// Whether it is asked; true unless given.
    is_active: bool,
}
