# CMake generated Testfile for 
# Source directory: /work/wt/exec/tests
# Build directory: /work/wt/exec/build/dev/tests
# 
# This file includes the relevant testing commands required for 
# testing this directory and lists subdirectories to be tested as well.
