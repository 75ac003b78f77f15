//! What `berth up` prints when it is ready.
#![expect(clippy::print_stdout, reason = "this is the command's output")]

use std::path::Path;

use crate::endpoints::Endpoints;

/// Says what to do next and, last, that everything is ready: the line that scripts wait for.
pub(super) fn show(data: &Path, endpoints: &Endpoints) {
    let (data, registry) = (data.display(), &endpoints.registry);
    println!(
        "The API is at {api}, the registry at {registry}. In another terminal:\n\n\
         \x20 export KUBECONFIG=$(realpath {data})/admin.kubeconfig\n\
         \x20 kubectl create namespace demo\n\
         \x20 podman login --cert-dir {data}/certs.d/{registry} -u builder -p \"$(kubectl create token builder -n demo)\" {registry}\n\
         \x20 podman push --cert-dir {data}/certs.d/{registry} IMAGE {registry}/demo/NAME:TAG\n\
         \x20 kubectl get imagestreams -n demo\n\n\
         People log in as docs/logging-in.md says; to begin with:\n\n\
         \x20 oc login --certificate-authority={data}/ca.crt -u kubeadmin -p \"$(cat {data}/kubeadmin-password)\" {api}\n\n\
         berth is ready",
        api = endpoints.api
    );
}
