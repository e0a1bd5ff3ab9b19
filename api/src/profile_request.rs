//! The bodies of requests about profiles.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::fields::{InvalidRequest, field, object};
use crate::identity_request::IdentityRequest;
use crate::profile::{CloneIdentity, ProfileName};
use crate::proxy::{ProxyChoice, ProxyRequest};

/// The longest notes of a profile, in characters.
const NOTES_LIMIT: usize = 4096;

/// The body of `POST /profiles`. All fields but the name may be omitted or null; unknown ones are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProfileRequest {
    /// Its name.
    pub name: ProfileName,
    /// Names and values of the caller's choice.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub labels: BTreeMap<String, String>,
    /// A text of the caller's choice.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(value_type = Option<String>, max_length = 4096)]
    pub notes: String,
    /// The proxy of its sessions whose request names none; credentials are not returned by any response.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProxyRequest>)]
    pub proxy: Option<ProxyChoice>,
    /// What pages learn of its user and machine.
    #[serde(flatten)]
    pub identity: IdentityRequest,
}

impl ProfileRequest {
    /// Parses a body.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    pub(crate) fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        Ok(Self {
            name: required_name(fields)?,
            labels: field(fields, "labels").texts()?,
            notes: field(fields, "notes").text(NOTES_LIMIT)?.unwrap_or_default(),
            proxy: field(fields, "proxy").proxy()?,
            identity: IdentityRequest::from_fields(fields)?,
        })
    }
}

/// Rejects a field of an identity where none is read, instead of ignoring it as others: somebody else would be meant.
fn without_identity(fields: &Map<String, Value>) -> Result<(), InvalidRequest> {
    let given =
        IdentityRequest::all_fields().find(|name| fields.get(*name).is_some_and(|value| !value.is_null()));
    given.map_or(Ok(()), |name| {
        Err(InvalidRequest::Field {
            field: name.to_owned(),
            problem: "the identity of a profile does not change, and a clone is asked for the same; make another profile for \
                      another one"
                .to_owned(),
        })
    })
}

/// The name in a body, which has to have one.
fn required_name(fields: &Map<String, Value>) -> Result<ProfileName, InvalidRequest> {
    field(fields, "name").profile_name()?.ok_or_else(|| InvalidRequest::Field {
        field: "name".to_owned(),
        problem: ProfileName::FORM.to_owned(),
    })
}

impl<'de> Deserialize<'de> for ProfileRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The body of the control role's `POST /profiles`, which may also name the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FleetProfileRequest {
    /// The profile.
    #[serde(flatten)]
    pub profile: ProfileRequest,
    /// The worker that gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl FleetProfileRequest {
    /// Parses a body.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let fields = object(body)?;
        let worker = field(&fields, "worker").text(usize::MAX)?;
        Ok(Self { profile: ProfileRequest::from_fields(&fields)?, worker })
    }
}

impl<'de> Deserialize<'de> for FleetProfileRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        let worker = field(&fields, "worker").text(usize::MAX).map_err(D::Error::custom)?;
        Ok(Self { profile: ProfileRequest::from_fields(&fields).map_err(D::Error::custom)?, worker })
    }
}

/// The body of `PATCH` of a profile: what is to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProfilePatch {
    /// All of its labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Its notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4096)]
    pub notes: Option<String>,
    /// The proxy of its later sessions; null selects the worker's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProxyRequest>)]
    pub proxy: Option<Option<ProxyChoice>>,
}

impl ProfilePatch {
    /// Parses a body.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        without_identity(fields)?;
        let labels = field(fields, "labels").texts()?;
        Ok(Self {
            labels: fields.contains_key("labels").then_some(labels),
            notes: match fields.contains_key("notes") {
                true => Some(field(fields, "notes").text(NOTES_LIMIT)?.unwrap_or_default()),
                false => None,
            },
            proxy: match fields.contains_key("proxy") {
                true => Some(field(fields, "proxy").proxy()?),
                false => None,
            },
        })
    }
}

impl<'de> Deserialize<'de> for ProfilePatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The body of `POST /profiles/{name}/clone`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CloneRequest {
    /// The name of the copy.
    pub name: ProfileName,
    /// Whether it is the same person.
    #[schema(value_type = Option<CloneIdentity>)]
    pub identity: CloneIdentity,
}

impl CloneRequest {
    /// Parses a body.
    ///
    /// # Errors
    /// [`InvalidRequest`], with the field's name.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::from_fields(&object(body)?)
    }

    fn from_fields(fields: &Map<String, Value>) -> Result<Self, InvalidRequest> {
        without_identity(fields)?;
        let identity = field(fields, "identity").one_of(CloneIdentity::ALL)?.unwrap_or_default();
        Ok(Self { name: required_name(fields)?, identity })
    }
}

impl<'de> Deserialize<'de> for CloneRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let parse = |body: &str| ProfilePatch::parse(body.as_bytes()).unwrap();
        assert_eq!(parse("{}"), ProfilePatch::default());
        let all = parse(r#"{"labels": {"a": "b"}, "notes": "x", "proxy": "socks5://a.example"}"#);
        assert_eq!(all.labels.unwrap()["a"], "b");
        assert_eq!(all.notes.as_deref(), Some("x"));
        assert_eq!(all.proxy, Some(Some("socks5://a.example".parse().unwrap())));
        let none = parse(r#"{"labels": null, "notes": null, "proxy": null}"#);
        assert_eq!(
            (none.labels, none.notes.as_deref(), none.proxy),
            (Some(BTreeMap::new()), Some(""), Some(None))
        );
    }

    #[test]
    fn an_identity_is_refused_where_it_would_be_ignored() {
        for field in IdentityRequest::all_fields() {
            let body = format!(r#"{{"name": "a", "{field}": "x", "notes": "y"}}"#);
            for error in [
                ProfilePatch::parse(body.as_bytes()).map(drop).unwrap_err(),
                CloneRequest::parse(body.as_bytes()).map(drop).unwrap_err(),
            ] {
                assert!(error.to_string().starts_with(&format!("{field}: the identity of a")), "{error}");
            }
        }
        let identity = r#"{"name": "a", "identity": "new", "locale": null}"#;
        assert_eq!(CloneRequest::parse(identity.as_bytes()).unwrap().identity, CloneIdentity::New);
    }

    #[test]
    fn a_body_without_a_valid_name_is_an_error_that_names_it() {
        for body in ["{}", r#"{"name": null}"#, r#"{"name": "../x"}"#, r#"{"name": 5}"#] {
            for error in [
                ProfileRequest::parse(body.as_bytes()).map(drop).unwrap_err(),
                CloneRequest::parse(body.as_bytes()).map(drop).unwrap_err(),
            ] {
                assert!(error.to_string().starts_with("name: must be"), "{body}: {error}");
            }
        }
    }
}
