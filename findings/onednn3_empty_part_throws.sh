#!/usr/bin/env bash
# oneDNN 3: a descriptor of a part that can't be described may be empty, if so asked, and throws when asked whether it is.
#
# memory::desc::submemory_desc(dims, offsets, true) does not throw where a part begins inside a block of a blocked
# layout. In oneDNN 2.6 what it returns is a zero descriptor, is_zero() says so, and it equals memory::desc(). In
# oneDNN 3.7 it is a handle that holds nothing: is_zero(), operator== and every other member throw "object is not
# initialized", though memory::desc().is_zero() is true there as before. Only operator bool tells in both.
#
# Needs g++ and the network. Fails when it is otherwise.
set -euo pipefail
shopt -s inherit_errexit

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Packages of another release of Debian, and what they run with, without installing them: fetch RELEASE PACKAGE...
fetch() {
  local release=$1 root=$folder/$1
  shift
  mkdir -p "$root"/{state/lists/partial,cache/archives/partial,packages,files}
  echo "deb http://deb.debian.org/debian $release main" >"$root/sources.list"
  local apt=(apt-get -qq -o "Dir::Etc::SourceList=$root/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State=$root/state" -o Dir::State::status=/dev/null -o "Dir::Cache=$root/cache" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$root/packages" && "${apt[@]}" download "$@")
  for package in "$root"/packages/*.deb; do dpkg -x "$package" "$root/files"; done
}

fetch bookworm libdnnl2=2.6.3-1 libdnnl-dev=2.6.3-1 libc6 libstdc++6 libgcc-s1 libgomp1
fetch trixie libdnnl3.6=3.7.2+ds-2 libdnnl-dev=3.7.2+ds-2 libc6 libstdc++6 libgcc-s1 libgomp1

cat >program.cpp <<'CPP'
#include <oneapi/dnnl/dnnl.hpp>

#include <cstdio>

using dnnl::memory;

template <class Question>
void ask(const char* words, const Question& question) {
  try {
    std::printf("%s: %s\n", words, question() ? "true" : "false");
  } catch (const dnnl::error& e) {
    std::printf("%s: throws \"%s\"\n", words, e.what());
  }
}

int main() {
  const memory::desc blocks({32, 16}, memory::data_type::f32, memory::format_tag::AB16b16a);
  const memory::desc part = blocks.submemory_desc({8, 16}, {4, 0}, true), none;
  std::printf("oneDNN %d.%d\n", dnnl_version()->major, dnnl_version()->minor);
  ask("none.is_zero()", [&] { return none.is_zero(); });
  ask("part.is_zero()", [&] { return part.is_zero(); });
  ask("part == none", [&] { return part == none; });
  ask("bool(part)", [&] { return static_cast<bool>(part); });
}
CPP

run() {
  local files=$folder/$1/files libraries
  libraries=$(find "$files" -type d -name x86_64-linux-gnu -path '*/lib/*' -printf '%p:')
  g++ -std=c++17 -I "$files/usr/include" -I "$files/usr/include/x86_64-linux-gnu" program.cpp \
    "$(find "$files" -name libdnnl.so | head -n 1)" -Wl,--allow-shlib-undefined -o "program_$1"
  "$(find "$files" -name 'ld-linux-x86-64.so.2' | head -n 1)" --library-path "${libraries%:}" "./program_$1"
}

{
  run bookworm
  run trixie
} | tee seen.txt
diff seen.txt - <<'SEEN'
oneDNN 2.6
none.is_zero(): true
part.is_zero(): true
part == none: true
bool(part): false
oneDNN 3.7
none.is_zero(): true
part.is_zero(): throws "object is not initialized"
part == none: throws "object is not initialized"
bool(part): false
SEEN
