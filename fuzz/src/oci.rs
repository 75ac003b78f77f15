//! Parsers of `berth_oci` and `berth_blobs`: whatever parses prints as it was read, and is within its limits.

use std::str::from_utf8;

use berth_blobs::BlobPath;
use berth_oci::{
    Accept, Challenge, ContentRange, Descriptor, Digest, Kind, Manifest, ManifestError, MediaType, Reference,
    RepositoryName, Tag,
    error_code::ErrorCode,
    manifest::{ANNOTATIONS_MAX, INDEX_MAX_WIDTH, MAX_LAYERS},
    range::{self, Selection},
};
use bytes::Bytes;

/// Names of every kind.
pub fn digest_reference(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.hex().len(), 2 * digest.algorithm().output_len());
        assert_eq!(text.parse::<Reference>(), Ok(Reference::Digest(digest)));
        let json = serde_json::to_string(&digest).expect("a digest is a string");
        assert_eq!(
            serde_json::from_str::<Digest>(&json).expect("and reads back"),
            digest
        );
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
        assert!(text.parse::<Digest>().is_err(), "nothing is both");
        assert_eq!(text.parse::<Reference>(), Ok(Reference::Tag(tag)));
    }
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
        assert!(reference.tag().is_some() != reference.digest().is_some());
    }
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(name.as_str(), text);
        assert!(text.len() <= 255 && name.components().all(|part| !part.is_empty()));
        // A name that parses is safe below the storage root.
        let path: BlobPath = format!("/repositories/{name}/_layers")
            .parse()
            .expect("names are paths");
        assert!(path.as_str().starts_with("/repositories/") && !path.as_str().contains(".."));
    }
    if let Ok(path) = text.parse::<BlobPath>() {
        assert_eq!(path.as_str(), text);
        assert!(
            path.as_str()
                .split('/')
                .skip(1)
                .all(|part| !matches!(part, "" | "." | ".."))
        );
        if let Some(parent) = path.parent() {
            assert_eq!(parent.join(path.name()).as_ref(), Ok(&path));
            assert!(parent.contains(&path));
        }
    }
    if let Ok(media_type) = text.parse::<MediaType>() {
        assert_eq!(media_type.as_str(), text);
    }
    let _ = text.parse::<ErrorCode>();
}

/// A manifest: the first byte chooses the content type, the rest is the body.
pub fn manifest(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    let content_type = Kind::ALL
        .get(usize::from(choice % 5))
        .map(|kind| kind.media_type());
    let Ok(manifest) = Manifest::parse(body.clone(), content_type) else {
        return;
    };
    assert_eq!(manifest.raw(), &body);
    assert_eq!(
        content_type.unwrap_or(manifest.media_type()),
        manifest.media_type()
    );
    let again = Manifest::parse(body.clone(), Some(manifest.media_type()));
    assert_eq!(
        again.as_ref(),
        Ok(&manifest),
        "the media type it is stored with reads it the same way"
    );
    match Manifest::parse(body.clone(), None) {
        Ok(untyped) => assert_eq!(untyped, manifest),
        Err(error) => assert!(
            matches!(error, ManifestError::Untyped) && manifest.kind().is_oci(),
            "{error}"
        ),
    }
    for other in Kind::ALL
        .into_iter()
        .filter(|kind| kind.is_index() != manifest.kind().is_index())
    {
        assert!(
            Manifest::parse(body.clone(), Some(other.media_type())).is_err(),
            "it is nothing else as well"
        );
    }
    let index = manifest.kind().is_index();
    assert_eq!(manifest.config().is_none(), index);
    assert!(if index {
        manifest.layers().is_empty()
    } else {
        manifest.children().is_empty()
    });
    assert!(manifest.layers().len() <= MAX_LAYERS && manifest.children().len() <= INDEX_MAX_WIDTH);
    assert!(manifest.annotations().len() <= ANNOTATIONS_MAX);
    assert!(manifest.blobs().count() <= 1 + manifest.layers().len());
    assert!(from_utf8(&body).is_ok(), "a manifest is text");
    for descriptor in manifest
        .layers()
        .iter()
        .chain(manifest.children())
        .chain(manifest.subject())
    {
        let json = serde_json::to_vec(descriptor).expect("descriptors serialize");
        assert_eq!(
            &serde_json::from_slice::<Descriptor>(&json).expect("and read back"),
            descriptor
        );
    }
}

/// A `Range` header, and an `Accept` one: the first eight bytes are the length of the content.
pub fn range(data: &[u8]) {
    let Some((size, header)) = data.split_first_chunk::<8>() else {
        return;
    };
    let size = u64::from_be_bytes(*size);
    let Ok(header) = from_utf8(header) else { return };
    if let Selection::Part(part) = range::select(header, size) {
        assert!(part.start < part.end && part.end <= size);
        let exact = format!("bytes={}-{}", part.start, part.end - 1);
        assert_eq!(range::select(&exact, size), Selection::Part(part.clone()));
        let answer = ContentRange::answer(part.start, part.end - 1, Some(size)).expect("a part lies within");
        assert_eq!(answer.len(), part.end - part.start);
    }
    let accept = Accept::parse(header.split('\n'));
    for kind in Kind::ALL {
        let media_type = kind.media_type();
        assert!(accept.quality(media_type) <= 1000);
        assert!(!accept.names(media_type) || !accept.is_empty());
    }
    if let Some(preferred) = accept.prefer(&Kind::ALL.map(Kind::media_type)) {
        assert!(accept.allows(preferred));
    }
}

/// A `Content-Range` header.
pub fn content_range(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    let Ok(range) = text.parse::<ContentRange>() else {
        return;
    };
    assert!(range.start() <= range.end() && range.len() == range.end() - range.start() + 1);
    assert!(range.size().is_none_or(|size| range.end() < size));
    assert_eq!(range.to_string().parse(), Ok(range));
}

/// A `WWW-Authenticate` header.
pub fn challenge(data: &[u8]) {
    let Ok(text) = from_utf8(data) else { return };
    for challenge in Challenge::parse(text) {
        assert!(!challenge.scheme().is_empty() && challenge.is(challenge.scheme()));
        assert!(challenge.token().is_none() || challenge.parameters().next().is_none());
        for (name, _) in challenge.parameters() {
            assert!(challenge.parameter(name).is_some());
        }
        let printed = challenge.to_string();
        assert!(
            !printed.contains(['\r', '\n', '\0']),
            "nothing can break out of the header"
        );
        assert_eq!(Challenge::parse(&printed), [challenge]);
    }
}
