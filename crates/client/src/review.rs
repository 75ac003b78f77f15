use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    authorization::v1::{
        ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
        SubjectAccessReviewSpec, SubjectAccessReviewStatus,
    },
};

use crate::{Result, Session};

const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const CAN_I: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const CAN_THEY: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// Who a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user name, for example `system:serviceaccount:demo:builder`.
    pub name: String,
    /// The unique id, empty where the cluster gives none.
    pub uid: String,
    /// The groups, in the server's order.
    pub groups: Vec<String>,
}

/// What somebody wants to do, in the words of an access review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attributes<'a> {
    /// The verb: `get`, `update`, …
    pub verb: &'a str,
    /// The API group.
    pub group: &'a str,
    /// The plural resource.
    pub resource: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The namespace, or empty for the whole cluster.
    pub namespace: &'a str,
    /// The object's name, or empty for all.
    pub name: &'a str,
}

impl Attributes<'_> {
    fn to_review(self) -> ResourceAttributes {
        let given = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        ResourceAttributes {
            verb: given(self.verb),
            group: given(self.group),
            resource: given(self.resource),
            subresource: given(self.subresource),
            namespace: given(self.namespace),
            name: given(self.name),
            ..ResourceAttributes::default()
        }
    }
}

/// What an access review says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// The server's reason; often empty.
    pub reason: String,
}

impl From<SubjectAccessReviewStatus> for Decision {
    fn from(status: SubjectAccessReviewStatus) -> Self {
        Self {
            allowed: status.allowed,
            reason: status.reason.unwrap_or_default(),
        }
    }
}

impl Session<'_> {
    /// Who this session is, by a `SelfSubjectReview`.
    ///
    /// # Errors
    /// [`Error::is_unauthorized`](crate::Error::is_unauthorized) for a token that is none; otherwise as
    /// [`Session::create`].
    pub async fn whoami(&self) -> Result<User> {
        let review: SelfSubjectReview = self
            .create(WHOAMI, &SelfSubjectReview::default(), "SelfSubjectReview")
            .await?;
        let user = review
            .status
            .and_then(|status| status.user_info)
            .unwrap_or_default();
        Ok(User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
        })
    }

    /// Whether this session may do `attributes`, by a `SelfSubjectAccessReview`.
    ///
    /// # Errors
    /// [`Error::is_forbidden`](crate::Error::is_forbidden) where the cluster does not let this identity ask (anonymous,
    /// scoped tokens); otherwise as [`Session::create`].
    pub async fn can(&self, attributes: Attributes<'_>) -> Result<Decision> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes.to_review()),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let review: SelfSubjectAccessReview = self.create(CAN_I, &review, "SelfSubjectAccessReview").await?;
        Ok(review.status.unwrap_or_default().into())
    }

    /// Whether `user` in `groups` may do `attributes`, by a `SubjectAccessReview` that this session may create.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn review(&self, user: &str, groups: &[&str], attributes: Attributes<'_>) -> Result<Decision> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                groups: Some(groups.iter().map(|&group| group.to_owned()).collect()),
                resource_attributes: Some(attributes.to_review()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let review: SubjectAccessReview = self.create(CAN_THEY, &review, "SubjectAccessReview").await?;
        Ok(review.status.unwrap_or_default().into())
    }
}
