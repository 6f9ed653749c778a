#!/usr/bin/env bash
# Which OpenMP runtime runs Debian 12's oneDNN is decided by the program that loads it.
#
# libdnnl.so.2 is built by GCC and names libgomp in its dependencies. In a program that names LLVM's libomp before
# libdnnl, as clang's -fopenmp does, oneDNN's parallel regions are started by libomp, which offers GOMP_parallel under
# libgomp's symbol version; libgomp is loaded beside it and not asked. So settings of libgomp's own, such as
# GOMP_SPINCOUNT, do not reach oneDNN there.
#
# Needs gcc and the network. Fails when the runtime that is bound to is another one.
set -euo pipefail
shopt -s inherit_errexit

packages=(libdnnl2=2.6.3-1 libomp5-14=1:14.0.6-12)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download "${packages[@]}"
for package in ./*.deb; do dpkg -x "$package" root; done
dnnl=$(find root -name 'libdnnl.so.2' | head -n 1)
omp=$(find root -name 'libomp.so.5' | head -n 1)

# A 512 x 512 times 512 x 512 product through oneDNN's C interface, of which only this function is needed.
cat >program.c <<'C'
#include <stdio.h>
#include <stdlib.h>
int dnnl_sgemm(char, char, long, long, long, float, const float*, long, const float*, long, float, float*, long);
int main(void) {
  enum { kRows = 512, kSide = 512 };
  float *a = malloc(sizeof(float) * kRows * kSide), *b = malloc(sizeof(float) * kSide * kSide),
        *c = malloc(sizeof(float) * kRows * kSide);
  for (int i = 0; i < kRows * kSide; ++i) a[i] = 1;
  for (int i = 0; i < kSide * kSide; ++i) b[i] = 2;
  int status = dnnl_sgemm('N', 'N', kRows, kSide, kSide, 1, a, kSide, b, kSide, 0, c, kSide);
  printf("status %d, first %g\n", status, c[0]);
  return status || c[0] != 2 * kSide;
}
C
libraries=$(dirname "$dnnl"):$(dirname "$omp")
runtime_of() {
  gcc program.c -o "$1" -Wl,--no-as-needed "${@:2}" -Wl,--allow-shlib-undefined
  OMP_NUM_THREADS=2 LD_LIBRARY_PATH=$libraries LD_DEBUG=bindings "./$1" 2>"$1.log"
  sed -nE 's/.*libdnnl[^ ]* \[0\] to [^ ]*\/(lib[a-z]*)\.so[^ ]* .*`GOMP_parallel.*/\1/p' "$1.log" | sort -u
}
plain=$(runtime_of plain "$dnnl" | tail -n 1)
first=$(runtime_of llvm "$omp" "$dnnl" | tail -n 1)
echo "oneDNN 2.6.3 alone: GOMP_parallel of $plain"
echo "oneDNN 2.6.3 behind libomp 14.0.6: GOMP_parallel of $first"
[[ $plain == libgomp && $first == libomp ]]

# Seen, on Debian 12:
#   oneDNN 2.6.3 alone: GOMP_parallel of libgomp
#   oneDNN 2.6.3 behind libomp 14.0.6: GOMP_parallel of libomp
