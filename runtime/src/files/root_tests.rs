use std::os::unix::fs::symlink;

use super::*;

/// A folder with a secret beside it; gone with the value.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Tree {
        let base = std::env::temp_dir().join(format!("bimetal-root-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        fs::create_dir_all(base.join("root/sub")).unwrap();
        fs::create_dir_all(base.join("outside")).unwrap();
        for (file, content) in [("root/a.txt", "a"), ("root/sub/b.txt", "bb"), ("outside/secret", "secret")] {
            fs::write(base.join(file), content).unwrap();
        }
        symlink("a.txt", base.join("root/in.txt")).unwrap();
        symlink(base.join("root/sub/b.txt"), base.join("root/absolute.txt")).unwrap();
        symlink("sub", base.join("root/folder")).unwrap();
        symlink("../outside/secret", base.join("root/out")).unwrap();
        symlink(base.join("outside"), base.join("root/outside")).unwrap();
        symlink("loop", base.join("root/loop")).unwrap();
        symlink("nothing", base.join("root/dangling")).unwrap();
        Tree(base)
    }

    fn root(&self, follow: bool) -> Root {
        Root::new(self.0.join("root"), follow)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sizes(root: &Root, path: &str) -> [Result<u64, Miss>; 2] {
    // The second look finds everything in the caches, where the system says so.
    [Patience::Waits, Patience::Cached]
        .map(|patience| root.find(&Relative::of(path), patience).map(|node| node.size))
}

#[test]
fn links_are_gone_through_as_far_as_they_stay() {
    let tree = Tree::new("links");
    let root = tree.root(false);
    for (path, found) in [
        ("a.txt", Ok(1)),
        ("sub/b.txt", Ok(2)),
        ("in.txt", Ok(1)),
        ("absolute.txt", Ok(2)),
        ("folder/b.txt", Ok(2)),
        ("../root/a.txt", Ok(1)),
        ("out", Err(Miss::Absent)),
        ("outside/secret", Err(Miss::Absent)),
        ("../outside/secret", Err(Miss::Absent)),
        ("../../../../../../../../../../etc/passwd", Err(Miss::Absent)),
        ("dangling", Err(Miss::Absent)),
        ("a.txt/b", Err(Miss::Absent)),
        ("nothing", Err(Miss::Absent)),
        ("loop", Err(Miss::Failed(Errno::LOOP))),
        (&"n".repeat(300), Err(Miss::TooLong)),
    ] {
        let [waited, cached] = sizes(&root, path);
        assert_eq!(waited, found, "{path:?}");
        assert!(cached == found || cached == Err(Miss::NotNow), "{path:?}: {cached:?}");
    }
}

#[test]
fn links_are_followed_out_where_that_is_wanted() {
    let tree = Tree::new("followed");
    let root = tree.root(true);
    for (path, found) in [
        ("out", Ok(6)),
        ("outside/secret", Ok(6)),
        ("../root/in.txt", Ok(1)),
        ("../outside/secret", Err(Miss::Absent)),
        ("loop", Err(Miss::Failed(Errno::LOOP))),
    ] {
        assert_eq!(sizes(&root, path)[0], found, "{path:?}");
    }
}

#[test]
fn step_by_step_finds_the_same() {
    let tree = Tree::new("steps");
    let folder = open_folder(&tree.0.join("root"), Patience::Waits).unwrap();
    let open = |name: &str| step_by_step(folder.as_fd(), Path::new(name), WITHOUT_READING, Links::Refused);
    assert!(open("a.txt").is_ok() && open("sub/b.txt").is_ok() && open("sub").is_ok());
    for (name, error) in [
        ("in.txt", Errno::LOOP),
        ("folder/b.txt", Errno::LOOP),
        ("outside/secret", Errno::LOOP),
        ("out", Errno::LOOP),
        ("a.txt/b", Errno::NOTDIR),
        ("nothing", Errno::NOENT),
    ] {
        assert_eq!(open(name).unwrap_err(), error, "{name:?}");
    }
}

#[test]
fn a_name_keeps_what_links_lead_to() {
    let tree = Tree::new("names");
    let name = |follow, path| tree.root(follow).find(&Relative::of(path), Patience::Waits).unwrap().name;
    assert_eq!(name(false, "folder/b.txt"), Path::new("sub/b.txt"));
    assert_eq!(name(true, "folder/b.txt"), Path::new("folder/b.txt"));
}

#[test]
fn what_is_put_in_a_files_place_is_not_opened() {
    let tree = Tree::new("swapped");
    let path = tree.0.join("root/a.txt");
    for swap in [
        (|path: &Path| symlink("../outside/secret", path).unwrap()) as fn(&Path),
        |path| fs::write(path, "other").unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |_| (),
    ] {
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        fs::write(&path, "a").unwrap();
        let node = tree.root(false).find(&Relative::of("a.txt"), Patience::Waits).unwrap();
        // Kept, so that no other file gets its number.
        fs::rename(&path, tree.0.join("kept")).unwrap();
        swap(&path);
        assert_eq!(node.open(Patience::Waits).unwrap_err(), Miss::Changed);
    }
}

#[test]
fn a_folder_that_is_not_there_is_told_apart() {
    let root = Root::new(PathBuf::from("/nowhere/at/all"), false);
    assert_eq!(root.find(&Relative::of("a"), Patience::Waits).unwrap_err(), Miss::NoRoot);
    assert_eq!(root.find(&Relative::of("../a"), Patience::Waits).unwrap_err(), Miss::NoRoot);
    let file = Root::new(PathBuf::from("/etc/hostname"), false);
    assert_eq!(file.find(&Relative::of("a"), Patience::Waits).unwrap_err(), Miss::NoRoot);
}
