//! A node whose containers are processes of the user.
//!
//! A container is a process in namespaces of its own (user, mounts, processes, host name), made by `unshare` and `nsenter` of
//! util-linux; an ordinary user may run them. It sees the folder of its image, or the machine's own tools, without what the
//! machine's users keep in `/home` and `/root`; what it writes there is gone with it. Its volumes are folders under the state folder.
//!
//! It is no sandbox and no measure of resources. What differs from a container:
//! - requests and limits of resources, `emptyDir.sizeLimit` and `emptyDir.medium`, seccomp and AppArmor profiles are not enforced;
//! - everything a pod does is done as the user who runs the node, whatever number `runAsUser` shows inside, so permissions
//!   between users are not tested, and `fsGroup` and `supplementalGroups` have nothing to do;
//! - capabilities count inside the container only; the network is the machine's, without Services and their variables;
//! - Secrets and ConfigMaps that change are seen by the next start of a container, not by a running one;
//! - `imagePullPolicy` and pull secrets have nothing to do.
//!
//! A node that is started anew finds no containers, as after a reboot of its machine: see `resume.rs`.
//!
//! Whatever else a pod asks for makes it fail with the reason [`UNSUPPORTED`] and a message that names the field.

mod environment;
mod fields;
mod files;
mod hidden;
mod image;
pub(crate) mod life;
mod logs;
mod node;
pub(crate) mod plan;
mod pod;
mod probe;
mod quantity;
mod resume;
mod run;
mod setup;
pub(crate) mod status;
#[cfg(test)]
mod tests;
mod volumes;

pub use fields::UNSUPPORTED;
pub use files::Files;
pub use image::{Image, Images, Root};
pub use logs::Wanted;
pub use node::Node;
