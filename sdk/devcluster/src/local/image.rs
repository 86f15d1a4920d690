//! What the local node takes for an image.

use std::path::PathBuf;

/// What a container sees as `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The machine's own tools.
    Host,
    /// A folder, as an image would be unpacked.
    Folder(PathBuf),
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What is in it.
    pub root: Root,
    /// The command of a container that has none.
    pub entrypoint: Vec<String>,
    /// The arguments of a container that has neither a command nor arguments.
    pub command: Vec<String>,
    /// Variables.
    pub environment: Vec<(String, String)>,
    /// The working folder; `/` if empty.
    pub directory: String,
    /// The user.
    pub user: u32,
}

impl Image {
    /// Returns an image of nothing but these files: no command, root, the usual `PATH`.
    #[must_use]
    pub fn of(root: Root) -> Self {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Self {
            root,
            entrypoint: Vec::new(),
            command: Vec::new(),
            environment: vec![("PATH".to_owned(), path.to_owned())],
            directory: String::new(),
            user: 0,
        }
    }
}

/// The images of a node, by patterns of their names: `*` stands for any text, and the first pattern that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images(Vec<(String, Image)>);

impl Images {
    /// Returns a table without images.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an image for the names that fit a pattern.
    #[must_use]
    pub fn with(mut self, pattern: impl Into<String>, image: Image) -> Self {
        self.0.push((pattern.into(), image));
        self
    }

    /// Returns the image of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Image> {
        self.0.iter().find(|(pattern, _)| fits(pattern, name)).map(|(_, image)| image)
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|name| {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter().any(|at| fits(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_fits_counts() {
        let folder = Image::of(Root::Folder("/images/etcd".into()));
        let images = Images::new().with("*/etcd:*", folder.clone()).with("*", Image::of(Root::Host));
        assert_eq!(images.find("quay.io/coreos/etcd:v3.6.7"), Some(&folder));
        assert_eq!(images.find("busybox").map(|image| &image.root), Some(&Root::Host));
        assert_eq!(Images::new().with("busybox:1.*", folder).find("busybox"), None);
    }
}
