# CMake generated Testfile for 
# Source directory: /work/wt/exec
# Build directory: /work/wt/exec/build/dev
# 
# This file includes the relevant testing commands required for 
# testing this directory and lists subdirectories to be tested as well.
subdirs("tools")
subdirs("tests")
