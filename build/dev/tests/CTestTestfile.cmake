# CMake generated Testfile for 
# Source directory: /work/wt/movement/tests
# Build directory: /work/wt/movement/build/dev/tests
# 
# This file includes the relevant testing commands required for 
# testing this directory and lists subdirectories to be tested as well.
include("/work/wt/movement/build/dev/tests/pli_compute_test[1]_include.cmake")
