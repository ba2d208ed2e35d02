//! Whether the daemon's user may read what it needs, not only root who asks.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::base::{Code, Diagnostic};
use crate::daemon::source::Reading;

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&DENIED];

static DENIED: Code = Code {
    id: "H0905",
    title: "the daemon's user may not use a file",
    explain: "handsetd runs as a user of its own. What that user cannot read is not there for it: phones keep \
              their last good files, or get none.",
};

/// Read.
const READ: u32 = 4;
/// Search a folder.
const SEARCH: u32 = 1;
/// Read, write and search a folder.
const ALL: u32 = 7;
/// No more files are looked at.
const FILES_MAX: usize = 2_000;

/// The user that the daemon runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) groups: Vec<u32>,
}

/// A file or folder on a path.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Node {
    path: PathBuf,
    uid: u32,
    gid: u32,
    mode: u32,
    /// It has an access list: the mode does not tell.
    listed: bool,
}

impl Node {
    fn at(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        let mut none: [u8; 0] = [];
        let listed = rustix::fs::getxattr(path, "system.posix_acl_access", &mut none).is_ok();
        let mode = meta.permissions().mode();
        Some(Self { path: path.into(), uid: meta.uid(), gid: meta.gid(), mode, listed })
    }
}

/// Whether the user has all these bits (read 4, write 2, search 1).
fn may(user: &User, node: &Node, bits: u32) -> bool {
    let shift = match node {
        _ if user.uid == 0 || node.listed => return true,
        Node { uid, .. } if *uid == user.uid => 6,
        Node { gid, .. } if user.groups.contains(gid) => 3,
        _ => 0,
    };
    (node.mode >> shift) & bits == bits
}

/// The first thing on the way to a file that stops the user: its folders from the root, then itself.
fn barrier<'a>(user: &User, way: &'a [Node], bits: u32) -> Option<&'a Node> {
    let (last, folders) = way.split_last()?;
    let stops = |node: &&Node| !may(user, node, SEARCH);
    folders.iter().find(stops).or_else(|| (!may(user, last, bits)).then_some(last))
}

/// Looks at all files that the daemon reads.
pub(super) fn examine(reading: &Reading, user: Option<&User>) -> Vec<Finding> {
    let Some(user) = user else {
        return vec![Finding::skipped(
            "permissions: the daemon does not run and there is no user handset",
        )];
    };
    let site = &reading.site;
    let mut wanted: Vec<(PathBuf, u32)> =
        reading.sources.iter().map(|s| (s.path.clone(), READ)).collect();
    wanted.push((site.site_key.clone(), READ));
    wanted.push((site.state_dir.clone(), ALL));
    if let Some(root) = &site.tftp.root {
        wanted.push((root.clone(), READ | SEARCH));
        wanted.extend(reading.statics.iter().map(|name| (root.join(name), READ)));
    }
    let tls = [&site.http.certificate, &site.http.key];
    wanted.extend(tls.into_iter().flatten().map(|path| (path.clone(), READ)));
    wanted.truncate(FILES_MAX);
    judge(user, wanted.iter().filter_map(|(path, bits)| Some((way(path)?, *bits))))
}

/// The folders that lead to a file, and the file; none where it is not there or not seen.
fn way(path: &Path) -> Option<Vec<Node>> {
    let real = fs::canonicalize(path).ok()?;
    let mut way: Vec<Node> = real.ancestors().map(Node::at).collect::<Option<_>>()?;
    way.reverse();
    Some(way)
}

fn judge(user: &User, ways: impl Iterator<Item = (Vec<Node>, u32)>) -> Vec<Finding> {
    let (mut seen, mut found) = (0, Vec::<Finding>::new());
    let mut told: Vec<PathBuf> = Vec::new();
    for (way, bits) in ways {
        seen += 1;
        let Some(node) = barrier(user, &way, bits) else { continue };
        if told.contains(&node.path) {
            continue;
        }
        told.push(node.path.clone());
        let what = if bits & 2 == 2 { "use" } else { "read" };
        let file = way.last().map(|n| n.path.display().to_string()).unwrap_or_default();
        let why = format!("{} has mode {:04o}", node.path.display(), node.mode & 0o7777);
        let text = format!("the user {} may not {what} {file}: {why}", user.name);
        let help = format!(
            "give {} to the group of the daemon's user, or make that user a member of its group",
            node.path.display()
        );
        found.push(Diagnostic::error(&DENIED, text).help(help).into());
    }
    if found.is_empty() {
        let text = format!("the user {} may read all {seen} files and folders", user.name);
        found.push(Finding::fine(text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::verdicts;
    use super::*;

    fn node(path: &str, uid: u32, gid: u32, mode: u32) -> Node {
        Node { path: path.into(), uid, gid, mode, listed: false }
    }

    #[track_caller]
    fn check(folder: (u32, u32, u32), file: (u32, u32, u32), bits: u32, expected: &str) {
        let user = User { name: "handset".into(), uid: 900, groups: vec![900, 901] };
        let way = [
            node("/", 0, 0, 0o755),
            node("/etc", folder.0, folder.1, folder.2),
            node("/etc/f", file.0, file.1, file.2),
        ];
        let stop = barrier(&user, &way, bits).map_or("", |n| n.path.to_str().unwrap());
        assert_eq!(stop, expected);
    }

    #[test]
    fn owner_group_and_others_are_told_apart() {
        let open = (0, 0, 0o755);
        check(open, (0, 0, 0o644), READ, "");
        check(open, (0, 0, 0o640), READ, "/etc/f");
        check(open, (0, 901, 0o640), READ, "");
        check(open, (900, 0, 0o600), READ, "");
        // The owner's bits hold for the owner, whatever others may.
        check(open, (900, 0, 0o044), READ, "/etc/f");
        check(open, (0, 901, 0o604), READ, "/etc/f");
        check((0, 0, 0o750), (0, 0, 0o644), READ, "/etc");
        check((0, 901, 0o750), (0, 0, 0o644), READ, "");
        check(open, (0, 901, 0o750), ALL, "/etc/f");
        check(open, (900, 0, 0o700), ALL, "");
    }

    #[test]
    fn root_and_access_lists_are_not_judged_by_the_mode() {
        let root = User { name: "root".into(), uid: 0, groups: vec![0] };
        let mut file = node("/f", 5, 5, 0);
        assert!(may(&root, &file, ALL));
        let user = User { name: "handset".into(), uid: 900, groups: vec![900] };
        assert!(!may(&user, &file, READ));
        file.listed = true;
        assert!(may(&user, &file, READ));
    }

    #[test]
    fn one_closed_folder_is_told_once() {
        let user = User { name: "handset".into(), uid: 900, groups: vec![900] };
        let way = |name: &str| (vec![node("/a", 0, 0, 0o700), node(name, 0, 0, 0o644)], READ);
        let found = judge(&user, [way("/a/b"), way("/a/c")].into_iter());
        assert_eq!(verdicts(&found), "error H0905");
        let found = judge(&user, [(vec![node("/b", 0, 0, 0o644)], READ)].into_iter());
        assert_eq!(verdicts(&found), "fine");
    }
}
