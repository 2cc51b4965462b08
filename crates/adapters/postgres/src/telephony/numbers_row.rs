//! A managed number as it lies in its table.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{E164, StoreError, ids::ManagedNumberId};
use voxanne_telephony::numbers::{ManagedNumber, NumberState, Progress, Releasing, Wish};

use crate::{constraint::corrupt, sql::from_sql};

/// What [`NumberRow`] is read from.
macro_rules! columns {
    () => {
        "id, phone_number, status, tag, wanted_country, wanted_area_code, wanted_number, allow_fallback,
         twilio_account_sid, twilio_number_sid, vapi_phone_id, vapi_released, twilio_released, error_code, asked_at,
         purchased_at, released_at, sms_url"
    };
}
pub(super) use columns;

#[derive(FromRow)]
pub(super) struct NumberRow {
    id: Uuid,
    phone_number: String,
    status: String,
    tag: String,
    wanted_country: String,
    wanted_area_code: Option<String>,
    wanted_number: Option<String>,
    allow_fallback: bool,
    twilio_account_sid: String,
    twilio_number_sid: Option<String>,
    vapi_phone_id: Option<String>,
    vapi_released: bool,
    twilio_released: bool,
    error_code: Option<String>,
    asked_at: OffsetDateTime,
    purchased_at: Option<OffsetDateTime>,
    released_at: Option<OffsetDateTime>,
    sms_url: Option<String>,
}

impl NumberRow {
    /// The state with its data; nothing if the row does not hold what its status needs.
    fn state(&self) -> Option<NumberState> {
        let (carrier_id, voice_id) = (self.twilio_number_sid.clone(), self.vapi_phone_id.clone());
        Some(match self.status.as_str() {
            "buying" => NumberState::Buying(match carrier_id {
                Some(carrier_id) => Progress::Bought { carrier_id },
                None => Progress::Chosen,
            }),
            "active" => NumberState::Active { carrier_id: carrier_id?, voice_id: voice_id? },
            "releasing" => NumberState::Releasing(Releasing {
                carrier_id,
                voice_id,
                voice_released: self.vapi_released,
                carrier_released: self.twilio_released,
            }),
            "released" => NumberState::Released { at: from_sql(self.released_at?) },
            "failed" => NumberState::Failed { code: self.error_code.clone()? },
            _ => return None,
        })
    }
}

impl TryFrom<NumberRow> for ManagedNumber {
    type Error = StoreError;
    fn try_from(row: NumberRow) -> Result<Self, StoreError> {
        macro_rules! read {
            ($column:literal, $read:expr) => {
                $read.map_err(|error| corrupt("managed_phone_numbers", $column, &row.id, error))?
            };
        }
        let state = row.state().ok_or("it does not hold what its status needs");
        Ok(Self {
            id: ManagedNumberId(row.id),
            number: read!("phone_number", E164::new(&row.phone_number)),
            wish: Wish {
                country: read!("wanted_country", row.wanted_country.parse()),
                area_code: read!(
                    "wanted_area_code",
                    row.wanted_area_code.map(|code| code.parse()).transpose()
                ),
                number: read!("wanted_number", row.wanted_number.as_deref().map(E164::new).transpose()),
                allow_fallback: row.allow_fallback,
            },
            state: read!("status", state),
            texts: row.sms_url,
            account: row.twilio_account_sid,
            tag: row.tag,
            asked_at: from_sql(row.asked_at),
            purchased_at: row.purchased_at.map(from_sql),
        })
    }
}
