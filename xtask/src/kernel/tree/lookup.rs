//! What a tree of git has at a path.

use anyhow::Result;
use git2::{FileMode, ObjectType, Oid, Repository, Tree};
use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// Nothing, and no file or link on the way there.
    Nothing,
    /// A file, link or submodule, with its mode.
    File(Oid, i32),
    /// A folder.
    Folder(Oid),
    /// The path is below this file, link or submodule.
    Beyond(PathBuf, Oid, i32),
}

/// Looks paths up in a tree and reads each folder once. `Tree::get_path` reads, and hashes, each
/// folder of more than 4 KiB again for every path (`git_cache__max_object_size` of libgit2's cache.c
/// keeps no larger one): thousands of files of one folder would take the square of their number.
pub(super) struct Lookup<'r> {
    repo: &'r Repository,
    root: Rc<Tree<'r>>,
    known: RefCell<HashMap<Oid, Rc<Tree<'r>>>>,
}

impl<'r> Lookup<'r> {
    pub(super) fn new(repo: &'r Repository, tree: Tree<'r>) -> Self {
        Lookup {
            repo,
            root: Rc::new(tree),
            known: RefCell::default(),
        }
    }

    /// What is at `path`. Errors: a folder on the way cannot be read.
    pub(super) fn at(&self, path: &Path) -> Result<At> {
        let mut here = PathBuf::new();
        let mut folder = Rc::clone(&self.root);
        let mut parts = path.iter().peekable();
        while let Some(part) = parts.next() {
            here.push(part);
            let Some(entry) = folder.get_name_bytes(part.as_bytes()) else {
                return Ok(At::Nothing);
            };
            let (id, mode) = (entry.id(), entry.filemode());
            match (entry.kind(), parts.peek()) {
                (Some(ObjectType::Tree), None) => return Ok(At::Folder(id)),
                (Some(ObjectType::Tree), Some(_)) => {}
                (_, None) => return Ok(At::File(id, mode)),
                (_, Some(_)) => return Ok(At::Beyond(here, id, mode)),
            }
            drop(entry);
            folder = self.folder(id)?;
        }
        Ok(At::Folder(self.root.id()))
    }

    /// The content of the file or link at `path`; `None` where there is none. Errors: it cannot be read.
    pub(super) fn content(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.at(path)? {
            At::File(id, mode) if mode != i32::from(FileMode::Commit) => {
                Ok(Some(self.repo.find_blob(id)?.content().to_vec()))
            }
            // A submodule is a commit of another repository.
            At::File(..) | At::Nothing | At::Folder(_) | At::Beyond(..) => Ok(None),
        }
    }

    fn folder(&self, id: Oid) -> Result<Rc<Tree<'r>>> {
        if let Some(known) = self.known.borrow().get(&id) {
            return Ok(Rc::clone(known));
        }
        let tree = Rc::new(self.repo.find_tree(id)?);
        self.known.borrow_mut().insert(id, Rc::clone(&tree));
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::super::graft::entry;
    use super::*;
    use git2::Index;

    #[test]
    fn each_folder_is_read_once_and_nothing_is_looked_for_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init(folder.path()).unwrap();
        let blob = repo.blob(b"x\n").unwrap();
        let mut index = Index::new().unwrap();
        for (path, mode) in [("a/b/f", 0o100_644), ("a/link", 0o120_000), ("a/g", 0o100_755)] {
            index.add(&entry(Path::new(path), blob, mode)).unwrap();
        }
        let tree = repo.find_tree(index.write_tree_to(&repo).unwrap()).unwrap();
        let id = |path: &str| tree.get_path(Path::new(path)).unwrap().id();
        let lookup = Lookup::new(&repo, tree.clone());
        let at = |path: &str| lookup.at(Path::new(path)).unwrap();
        for (path, found) in [
            ("a/b/f", At::File(blob, 0o100_644)),
            ("a/g", At::File(blob, 0o100_755)),
            ("a/b", At::Folder(id("a/b"))),
            ("", At::Folder(tree.id())),
            ("a/c/f", At::Nothing),
            ("a/link/x/y", At::Beyond("a/link".into(), blob, 0o120_000)),
            ("a/b/f/x", At::Beyond("a/b/f".into(), blob, 0o100_644)),
        ] {
            assert_eq!(at(path), found, "{path}");
        }
        assert_eq!(lookup.known.borrow().len(), 2, "`a` and `a/b`, each of them once");
        let first = lookup.folder(id("a")).unwrap();
        assert!(Rc::ptr_eq(&first, &lookup.folder(id("a")).unwrap()));
        assert_eq!(lookup.content(Path::new("a/b/f")).unwrap().unwrap(), b"x\n");
        assert_eq!(lookup.content(Path::new("a/b")).unwrap(), None);

        // What cannot be read is another thing than what is not there.
        let lost = Oid::from_str(&"1".repeat(40)).unwrap();
        let mut builder = repo.treebuilder(None).unwrap();
        builder.insert("module", lost, FileMode::Commit.into()).unwrap();
        let of_module = repo.find_tree(builder.write().unwrap()).unwrap();
        let lookup = Lookup::new(&repo, of_module);
        assert_eq!(lookup.content(Path::new("module")).unwrap(), None);
        let object = folder.path().join(".git/objects").join(&blob.to_string()[..2]);
        std::fs::remove_dir_all(object).unwrap();
        let repo = Repository::open(folder.path()).unwrap();
        let lookup = Lookup::new(&repo, repo.find_tree(tree.id()).unwrap());
        assert!(lookup.content(Path::new("a/b/f")).is_err());
    }
}
