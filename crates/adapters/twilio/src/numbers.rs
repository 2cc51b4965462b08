//! Phone numbers: what is for sale, buying, finding what an interrupted purchase left, and releasing.
//!
//! A search reserves nothing, and Twilio knows no idempotency keys: whoever buys stores the number and a tag first, and
//! looks for the tag before buying again.

use serde::Deserialize;
use voxanne_kernel::{E164, ProviderError};

use crate::{
    account_sid::AccountSid,
    parent::{Listing, ParentAccount, ParentError, read_sid},
    wire::filled,
};

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// Of a place.
    Local,
    /// Of a mobile network.
    Mobile,
    /// Free for whoever calls.
    TollFree,
}

impl NumberKind {
    const fn path(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::Mobile => "Mobile",
            Self::TollFree => "TollFree",
        }
    }

    /// The name in answers of ours, `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Mobile => "mobile",
            Self::TollFree => "toll_free",
        }
    }
}

/// Which numbers are wanted; all of them can be called and texted.
#[derive(Debug, Clone, Copy)]
pub struct NumberSearch<'a> {
    /// ISO 3166, two capital letters.
    pub country: &'a str,
    /// Three digits, of the North American plan.
    pub area_code: Option<&'a str>,
    /// Twilio's pattern of digits, letters and `*`.
    pub contains: Option<&'a str>,
    /// At most so many.
    pub limit: u16,
}

/// A number that can be bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForSale {
    /// The number.
    pub number: E164,
    /// Its kind.
    pub kind: NumberKind,
    /// Its town.
    pub locality: Option<String>,
    /// Its state or province.
    pub region: Option<String>,
    /// Whether its holder has to be registered with an address.
    pub needs_address: bool,
}

/// A number of a subaccount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedNumber {
    /// `PN…`.
    pub sid: String,
    /// The number.
    pub number: E164,
    /// The tag we gave it.
    pub friendly_name: String,
    /// Where texts to it are posted, if anywhere.
    pub sms_url: Option<String>,
}

#[derive(Deserialize)]
struct Available {
    available_phone_numbers: Vec<AvailableRow>,
}

#[derive(Deserialize)]
struct AvailableRow {
    #[serde(default, deserialize_with = "filled")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    locality: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    region: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    address_requirements: Option<String>,
}

impl AvailableRow {
    fn shown(self, kind: NumberKind) -> Option<ForSale> {
        Some(ForSale {
            number: E164::new(&self.phone_number?).ok()?,
            kind,
            locality: self.locality,
            region: self.region,
            needs_address: self.address_requirements.is_some_and(|needs| needs != "none"),
        })
    }
}

#[derive(Deserialize)]
struct Page {
    incoming_phone_numbers: Vec<Row>,
    #[serde(default, deserialize_with = "filled")]
    next_page_uri: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "filled")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    friendly_name: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    sms_url: Option<String>,
}

impl Listing for Page {
    type Row = Row;
    fn take(self) -> (Vec<Row>, Option<String>) {
        (self.incoming_phone_numbers, self.next_page_uri)
    }
}

impl Row {
    fn shown(self) -> Option<OwnedNumber> {
        let number = E164::new(&self.phone_number?).ok()?;
        let friendly_name = self.friendly_name.unwrap_or_default();
        Some(OwnedNumber { sid: self.sid?, number, friendly_name, sms_url: self.sms_url })
    }
}

impl ParentAccount {
    /// Numbers for sale: local ones, or where a country has none that fit, mobile and then toll-free ones. An area code
    /// is one of a place. Nothing found is an empty list.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn numbers_for_sale(&self, search: &NumberSearch<'_>) -> Result<Vec<ForSale>, ParentError> {
        let kinds = match search.area_code {
            Some(_) => &[NumberKind::Local][..],
            None => &[NumberKind::Local, NumberKind::Mobile, NumberKind::TollFree],
        };
        for kind in kinds {
            let found = self.for_sale(search, *kind, &[]).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Area codes around `area_code` in which numbers are for sale now, at most `most`, nearest first as far as Twilio
    /// tells. Empty where Twilio does not know the place.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn nearby_area_codes(
        &self,
        country: &str,
        area_code: &str,
        most: usize,
    ) -> Result<Vec<String>, ParentError> {
        let near = format!("+1{area_code}5550100");
        let search = NumberSearch { country, area_code: None, contains: None, limit: 500 };
        let around = [("NearNumber", near.as_str()), ("Distance", "100")];
        let found = match self.for_sale(&search, NumberKind::Local, &around).await {
            Ok(found) => found,
            // It knows no such place.
            Err(ParentError::Provider(ProviderError::Refused(_)) | ParentError::NoneInArea) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut codes: Vec<String> = Vec::new();
        for offer in found {
            let code = offer.number.as_str().strip_prefix("+1").and_then(|rest| rest.get(..3));
            let new = code.filter(|code| *code != area_code && codes.iter().all(|known| known != code));
            codes.extend(new.map(ToOwned::to_owned));
        }
        codes.truncate(most);
        Ok(codes)
    }

    async fn for_sale(
        &self,
        search: &NumberSearch<'_>,
        kind: NumberKind,
        more: &[(&str, &str)],
    ) -> Result<Vec<ForSale>, ParentError> {
        // It becomes part of a path.
        if search.country.len() != 2 || !search.country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(Vec::new());
        }
        let account = read_sid(self.sid())?.path();
        let path = format!("{account}/AvailablePhoneNumbers/{}/{}.json", search.country, kind.path());
        let limit = search.limit.to_string();
        let mut query = vec![("VoiceEnabled", "true"), ("SmsEnabled", "true"), ("PageSize", &*limit)];
        query.extend(search.area_code.map(|code| ("AreaCode", code)));
        query.extend(search.contains.map(|pattern| ("Contains", pattern)));
        query.extend_from_slice(more);
        let answer = match self.read("search_numbers", &path, &query).await {
            Ok(answer) => answer,
            // The country has no numbers of this kind, or no such area.
            Err(ParentError::NotFound | ParentError::NoneInArea) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let page: Available = answer.json()?;
        let found = page.available_phone_numbers.into_iter().filter_map(|row| row.shown(kind));
        Ok(found.take(usize::from(search.limit)).collect())
    }

    /// Buys exactly this number for a subaccount, with texts to it posted to `sms_url`. Asking twice buys one: the second
    /// time it is not for sale.
    ///
    /// # Errors
    /// [`ParentError`]; after an unclear one, look for `tag`.
    pub async fn buy_number(
        &self,
        subaccount: &str,
        number: &E164,
        tag: &str,
        sms_url: &str,
    ) -> Result<OwnedNumber, ParentError> {
        let path = format!("{}/IncomingPhoneNumbers.json", read_sid(subaccount)?.path());
        let form = [
            ("PhoneNumber", number.as_str()),
            ("FriendlyName", tag),
            ("SmsUrl", sms_url),
            ("SmsMethod", "POST"),
        ];
        let bought: Row = self.post("buy_number", &path, &form).await?.json()?;
        let bought = bought.shown().filter(|bought| bought.number == *number);
        bought.ok_or_else(|| {
            ParentError::Provider(ProviderError::Unclear("the answer is about another number".into()))
        })
    }

    /// Has texts to a number of a subaccount posted to `sms_url`.
    ///
    /// # Errors
    /// [`ParentError`]; doing it again is safe.
    pub async fn set_sms_url(&self, subaccount: &str, sid: &str, sms_url: &str) -> Result<(), ParentError> {
        let path = number_path(subaccount, sid).ok_or(ParentError::NotFound)?;
        self.post("update_number", &path, &[("SmsUrl", sms_url), ("SmsMethod", "POST")]).await.map(drop)
    }

    /// The subaccount's numbers with exactly this tag, whichever they are.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn numbers_tagged(&self, subaccount: &str, tag: &str) -> Result<Vec<OwnedNumber>, ParentError> {
        let mut found = self.owned(subaccount, &[("FriendlyName", tag)]).await?;
        found.retain(|owned| owned.friendly_name == tag);
        Ok(found)
    }

    /// The subaccount's number with exactly these digits.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn number_of(
        &self,
        subaccount: &str,
        number: &E164,
    ) -> Result<Option<OwnedNumber>, ParentError> {
        // The filter also finds numbers that contain it.
        let found = self.owned(subaccount, &[("PhoneNumber", number.as_str())]).await?;
        Ok(found.into_iter().find(|owned| owned.number == *number))
    }

    /// Every number of a subaccount.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn numbers_of(&self, subaccount: &str) -> Result<Vec<OwnedNumber>, ParentError> {
        self.owned(subaccount, &[]).await
    }

    async fn owned(
        &self,
        subaccount: &str,
        filter: &[(&str, &str)],
    ) -> Result<Vec<OwnedNumber>, ParentError> {
        let list = format!("{}/IncomingPhoneNumbers", read_sid(subaccount)?.path());
        let rows = self.list::<Page>("list_numbers", &list, filter).await?;
        Ok(rows.into_iter().filter_map(Row::shown).collect())
    }

    /// Releases a number of a subaccount, which others may buy from then on. One that is gone counts as released.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn release_number(&self, subaccount: &str, sid: &str) -> Result<(), ParentError> {
        read_sid(subaccount)?;
        let Some(path) = number_path(subaccount, sid) else { return Ok(()) };
        match self.delete("release_number", &path).await {
            Ok(()) | Err(ParentError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Where a number is; nothing when that cannot be the SID of one, which becomes part of a path.
fn number_path(subaccount: &str, sid: &str) -> Option<String> {
    let digits = sid.strip_prefix("PN")?;
    let is_sid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let account = AccountSid::read(subaccount).filter(|_| is_sid)?;
    Some(format!("{}/IncomingPhoneNumbers/{sid}.json", account.path()))
}
