use super::*;

#[test]
fn hostile_names_are_refused() {
    for name in [
        "",
        "../x",
        "/x",
        "a/../b",
        "a\nb",
        "a b",
        "$(x)",
        "a;b",
        "-rf",
        ".lockstep-list",
        "a/-x",
        "ä",
    ] {
        assert!(check_name(Path::new(name)).is_err(), "{name:?}");
    }
    for name in [
        "Image-7.3.4-lockdep+",
        "7.3.4/kernel/drivers/x_y.ko.zst",
        "modules.dep",
    ] {
        assert!(check_name(Path::new(name)).is_ok(), "{name:?}");
    }
}
