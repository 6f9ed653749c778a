#pragma once

namespace pli::tools {

// The commands, a file each. They get what `main` got, argv[0] being the command's name, and give the exit code; an
// Error that leaves them is for run_command.
int onnx_optimize(int argc, char** argv);
int onnx_inspect(int argc, char** argv);
int onnx_run(int argc, char** argv);
int onnx_test(int argc, char** argv);
int onnx_bench(int argc, char** argv);

}  // namespace pli::tools
