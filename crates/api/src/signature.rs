use serde::{Deserialize, Serialize};

use crate::{
    bytes::Base64,
    meta::ObjectMeta,
    time::Time,
    wire::{is_default, nullable},
};

/// A signature over an Image. It is stored inside the Image and created and deleted as a resource of its own, under the
/// name `<image>@<signature>`. The API does not verify it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageSignature {
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub kind: String,
    /// Set when the object travels alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub api_version: String,
    /// The name is `<image>@<signature>`; labels and annotations are refused.
    #[serde(deserialize_with = "nullable")]
    pub metadata: ObjectMeta,
    /// The kind of signature, for example `AtomicImageV1`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub signature_type: String,
    /// The signature itself.
    #[serde(deserialize_with = "nullable")]
    pub content: Base64,
    /// What a verifier found.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<SignatureCondition>,
    /// The reference that was signed.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub image_identity: String,
    /// Claims of the signature.
    #[serde(
        deserialize_with = "nullable",
        skip_serializing_if = "std::collections::BTreeMap::is_empty"
    )]
    pub signed_claims: std::collections::BTreeMap<String, String>,
    /// When it was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Who issued the certificate or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_by: Option<SignatureIssuer>,
    /// Who owns the certificate or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_to: Option<SignatureSubject>,
}

/// What a verifier found about a signature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignatureCondition {
    /// `Trusted`, `ForImage`, `Expired` or `Revoked`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub condition_type: String,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// When it was last looked at.
    pub last_probe_time: Option<Time>,
    /// When it last changed.
    pub last_transition_time: Option<Time>,
    /// A word for machines.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub reason: String,
    /// A sentence for people.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub message: String,
}

/// Who issued a signing certificate or key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignatureIssuer {
    /// Organization name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub organization: String,
    /// Common name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub common_name: String,
}

/// Who owns a signing certificate or key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignatureSubject {
    /// Organization name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub organization: String,
    /// Common name.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub common_name: String,
    /// Identifier of the public key.
    #[serde(rename = "publicKeyID", deserialize_with = "nullable")]
    pub public_key_id: String,
}
