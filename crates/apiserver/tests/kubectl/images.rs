//! Images and image streams by kubectl, which knows nothing about them but what the server tells.

use berth_oci::Digest;

use crate::{
    objects::both,
    support::{Client, Cluster},
};

/// A mapping of a tag to an image that `name` tells from others, as YAML. Returns the image's name too.
fn mapping(stream: &str, tag: &str, name: &str) -> (String, String) {
    let digest = |text: &str| Digest::sha256(text.as_bytes()).to_string();
    let manifest = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":2}},"#,
            r#""layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":5}}]}}"#
        ),
        digest("{}"),
        digest(name)
    );
    let image = digest(&manifest);
    let yaml = format!(
        "apiVersion: image.openshift.io/v1\nkind: ImageStreamMapping\nmetadata: {{name: {stream}}}\ntag: {tag}\nimage:\n  \
         metadata: {{name: '{image}', annotations: {{image.openshift.io/manifestBlobStored: 'true'}}}}\n  \
         dockerImageManifest: '{manifest}'\n  dockerImageConfig: '{{}}'\n"
    );
    (yaml, image)
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[track_caller]
fn first_words(kubectl: &Client, command: &str, want: &[&str]) {
    let said = kubectl.ok(command);
    let line = said.lines().next().unwrap_or_default();
    assert_eq!(words(line)[..want.len()], *want, "{command}\n{said}");
}

#[test]
fn streams_tags_and_images() {
    let cluster = Cluster::start();
    for (name, kubectl) in both(&cluster) {
        kubectl.ok("create namespace demo");
        let stream = "apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: {name: app}\nspec:\n  tags:\n  - name: ref\n    \
                      reference: true\n    from: {kind: DockerImage, name: 'quay.example/a/b:c'}\n";
        let applied = |what: &str| format!("imagestream.image.openshift.io/app {what}\n");
        assert_eq!(kubectl.with(stream, "apply -f {}"), applied("created"), "{name}");
        let version = || kubectl.ok("get is app -o jsonpath={.metadata.resourceVersion}");
        // Debian's kubectl always sends the tags, since it does not know that they merge by name, and calls that configured.
        let unchanged = || {
            let before = version();
            let said = kubectl.with(stream, "apply -f {}");
            assert!(said == applied("unchanged") || name == "old", "{name}: {said}");
            assert_eq!(version(), before, "{name}");
        };
        unchanged();
        let (pushed, image) = mapping("app", "v1", "one");
        kubectl.with(&pushed, "create --validate=false -f {}");
        // A push is not the applier's.
        unchanged();

        let reference = format!("127.0.0.1:5000/demo/app@{image}");
        let isimage = format!("app@{}", &image[..20]);
        for (command, want) in [
            (
                "get is --no-headers".to_owned(),
                vec!["app", "127.0.0.1:5000/demo/app"],
            ),
            (
                "get is app".to_owned(),
                vec!["NAME", "IMAGE", "REPOSITORY", "TAGS", "UPDATED"],
            ),
            ("get istag --no-headers".to_owned(), vec!["app:v1", &reference]),
            (
                "get istag -o wide".to_owned(),
                vec!["NAME", "IMAGE", "REFERENCE", "UPDATED", "IMAGE", "NAME"],
            ),
            (
                "get itag".to_owned(),
                vec!["NAME", "SPEC", "STATUS", "HISTORY", "UPDATED"],
            ),
            (
                "get itag --no-headers".to_owned(),
                vec!["app:ref", "Ref", "quay.example/a/b:c", "1"],
            ),
            (format!("get isimage {isimage} --no-headers"), vec![&isimage]),
            (
                format!("get image {image} --no-headers"),
                vec![&image, &reference],
            ),
            ("get all --no-headers".to_owned(), vec!["app"]),
        ] {
            first_words(&kubectl, &command, &want);
        }
        assert_eq!(
            kubectl.ok("get istag --chunk-size=1 -A -o name"),
            "imagestreamtag.image.openshift.io/app:v1\n",
            "{name}"
        );
        assert_eq!(
            kubectl.ok("get itag --chunk-size=1 -o name").lines().count(),
            2,
            "{name}"
        );
        assert_eq!(
            kubectl.ok(
                "get istag --field-selector metadata.name=app:v1 -o jsonpath={.items[0].image.metadata.name}"
            ),
            image
        );

        kubectl.ok(r#"patch is app -p {"spec":{"tags":[{"name":"ref","annotations":{"a":"b"}}]}}"#);
        assert_eq!(
            kubectl.ok("get is app -o jsonpath={.spec.tags[0].from.name}"),
            "quay.example/a/b:c",
            "{name}: merged by name"
        );
        kubectl.ok("label is app tier=back");
        kubectl.ok("annotate is app note=hello");
        assert_eq!(
            kubectl.ok("get istag -l tier=back -o name").lines().count(),
            1,
            "{name}"
        );
        kubectl.ok(r#"patch itag app:ref --type=merge -p {"spec":{"annotations":{"c":"d"}}}"#);
        assert_eq!(
            kubectl.ok("get is app -o jsonpath={.spec.tags[0].annotations.c}"),
            "d"
        );

        let tag = "apiVersion: image.openshift.io/v1\nkind: ImageStreamTag\nmetadata: {name: 'made:t'}\ntag:\n  name: t\n  from: {kind: \
                   ImageStreamTag, name: 'app:v1'}\n";
        assert_eq!(
            kubectl.with(tag, "create --dry-run=server -o name -f {}"),
            "imagestreamtag.image.openshift.io/made:t\n"
        );
        assert!(kubectl.fails("get is made").contains("NotFound"), "{name}");
        kubectl.with(tag, "create -f {}");
        assert_eq!(
            kubectl.ok("get istag made:t -o jsonpath={.image.metadata.name}"),
            image
        );
        assert_eq!(
            kubectl.with(tag, "replace -f {}"),
            "imagestreamtag.image.openshift.io/made:t replaced\n"
        );
        kubectl.ok("delete istag made:t");
        assert!(
            kubectl
                .fails("get istag made:t")
                .contains("imagestreamtags.image.openshift.io \"made:t\" not found")
        );

        let described = kubectl.ok("describe is app");
        assert!(
            described.contains("Docker Image Repository:") && described.contains(&image),
            "{described}"
        );
        assert!(
            kubectl
                .ok("explain imagestream.spec.tags.from")
                .contains("Where the tag comes from"),
            "{name}"
        );
        assert!(
            kubectl
                .ok("explain imagestreamtag.image")
                .contains("dockerImageLayers"),
            "{name}"
        );
        let wrong = stream.replace("reference: true", "referenze: true");
        let said = kubectl.0.with_file(&wrong, &["apply", "-f", "{}"]);
        assert!(
            !said.success && said.stderr.contains("unknown field"),
            "{name}: {}{}",
            said.stdout,
            said.stderr
        );
        assert_eq!(kubectl.ok("auth can-i get imagestreams/layers").trim(), "yes");
        let served = kubectl.ok("api-resources --api-group=image.openshift.io -o name");
        assert_eq!(served.lines().count(), 7, "{served}");
        kubectl.ok("delete is app");
        kubectl.ok(&format!("delete image {image}"));
        kubectl.ok("delete namespace demo --timeout=20s");
    }
}
