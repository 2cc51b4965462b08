//! What the audit trail says when a slot is filled or emptied: never a secret, whoever does it.

use serde_json::{Value, json};
use voxanne_kernel::NewAudit;

use crate::credential::Credential;

/// `after` was stored, in place of `before`.
pub(crate) fn stored(before: Option<&Credential>, after: &Credential) -> NewAudit {
    NewAudit {
        action: "credential.stored",
        target_kind: "credential",
        target_id: after.id.to_string(),
        before: before.map(shown),
        after: Some(shown(after)),
    }
}

/// `before` was removed.
pub(crate) fn removed(before: &Credential) -> NewAudit {
    NewAudit {
        action: "credential.removed",
        target_kind: "credential",
        target_id: before.id.to_string(),
        before: Some(shown(before)),
        after: None,
    }
}

/// What may be shown of a credential.
pub(crate) fn shown(credential: &Credential) -> Value {
    json!({
        "provider": credential.provider.as_str(),
        "source": credential.source.as_str(),
        "status": credential.status.as_str(),
        "keyId": credential.sealed.key_id.as_str(),
        "metadata": credential.metadata,
    })
}
