#include "tools/commands.h"

#include "tools/support/console/command.h"
#include "tools/support/console/command_line.h"
#include "tools/support/console/json.h"
#include "tools/support/console/progress.h"
#include "tools/support/console/text.h"
#include "tools/support/data/elements.h"
#include "tools/support/data/inputs.h"
#include "tools/support/data/model_file.h"
#include "tools/support/data/output_files.h"
#include "tools/support/data/precision.h"
#include "tools/support/process/stopwatch.h"

#include "runtime/core/error.h"

#include <pli/model.h>
#include <pli/session.h>

namespace pli::tools {

namespace {

struct Options {
  std::string model;
  std::string output_dir;
  bool protobuf = false;
  bool no_optimize = false;
  std::string precision = "f32";
  ModelOptions model_options;
  InputOptions inputs;
};

struct Times {
  double load = 0;
  double compile = 0;
  double run = 0;
};

void print_value(const CommandLine& line, std::string_view heading, const std::string& name, const Value& value,
                 const std::string& origin) {
  const std::string statistics = value.is_tensor() ? statistics_text(value.tensor()) : "";
  line.print("{} {} {}{}{}{}{}\n", heading, printable(name), type_text(value), origin.empty() ? "" : ", ",
             printable(origin), statistics.empty() ? "" : ": ", statistics);
}

Json value_json(const std::string& name, const Value& value) {
  Json one = value.is_tensor() ? tensor_json(value.tensor()) : Json::object();
  one["name"] = name;
  one["type"] = type_text(value);
  return one;
}

Json inputs_json(const NamedValues& inputs, const InputMaker& maker) {
  Json list = Json::array();
  for (const auto& [name, value] : inputs) {
    list.push_back(value_json(name, value));
    list.back()["origin"] = maker.origin(name);
  }
  return list;
}

Json outputs_json(const NamedValues& outputs) {
  Json list = Json::array();
  for (const auto& [name, value] : outputs) list.push_back(value_json(name, value));
  return list;
}

int run_model(const CommandLine& line, const Options& options) {
  Progress progress(!line.quiet());
  Times times;
  progress.show("loading " + options.model);
  Stopwatch watch;
  Model model = read_model(options.model, options.model_options);
  times.load = watch.lap();
  InputMaker maker = in_file(options.model, [&] { return InputMaker(model, options.inputs); });
  const OutputFiles files(model, options.output_dir, options.protobuf);

  SessionOptions session_options;
  session_options.threads = line.threads();
  session_options.optimize = !options.no_optimize;
  session_options.precision = precision_of(options.precision);
  session_options.compile_early = false;
  if (line.verbose())
    session_options.log = [&](LogLevel, const std::string& message) {
      progress.clear();
      line.complain("{}: {}", options.model, message);
    };
  progress.show("compiling");
  watch.lap();
  NamedValues inputs;
  NamedValues outputs;
  int threads = 0;
  in_file(options.model, [&] {
    const Session session(std::move(model), session_options);
    threads = session.threads();
    maker.settle([&](const NamedValues& values) { session.compile(values); });
    times.compile = watch.lap();
    progress.show("running");
    inputs = maker.make(0);
    watch.lap();
    outputs = session.run(inputs);
    times.run = watch.lap();
  });
  const std::vector<std::string> written = files.write(outputs);
  progress.clear();

  if (line.json())
    line.print_json(Json{{"model", options.model},
                         {"threads", threads},
                         {"inputs", inputs_json(inputs, maker)},
                         {"guessed", maker.guessed()},
                         {"outputs", outputs_json(outputs)},
                         {"files", written},
                         {"time_ms", {{"load", times.load}, {"compile", times.compile}, {"run", times.run}}}});
  for (const auto& [name, value] : inputs) print_value(line, "input", name, value, maker.origin(name));
  if (const std::string guessed = maker.guessed(); !guessed.empty()) line.print("guessed: {}\n", printable(guessed));
  for (const auto& [name, value] : outputs) {
    print_value(line, "output", name, value, "");
    if (value.is_tensor()) line.print("{}", top_text(value.tensor()));
  }
  for (const std::string& file : written) line.print("wrote {}\n", printable(file));
  line.print("load {}, compile {}, run {} on {}\n", time_text(times.load), time_text(times.compile),
             time_text(times.run), plural(threads, "thread"));
  return kDone;
}

}  // namespace

int onnx_run(int argc, char** argv) {
  CommandLine line(
      argc, argv, "onnx-run",
      "Runs an ONNX model once and summarises its outputs. Inputs that are not given are seeded random numbers.",
      {{"onnx-run resnet50.onnx", "on random numbers"},
       {"onnx-run resnet50.onnx --input input=cat.npy --output-dir out", "on an image; writes out/<output>.npy"}});
  Options options;
  line.add({.names = "MODEL", .target = &options.model, .help = "the model to run; - is standard input"});
  add_model_flags(line, options.model_options);
  add_input_flags(line, options.inputs);
  line.explain_verbose("say on standard error what the library notes, such as sizes that contradict a symbol");
  line.add({.names = "--output-dir",
            .target = &options.output_dir,
            .help = "write each output to a file in this folder, which is made when it is not there",
            .value = "DIR"});
  line.add(
      {.names = "--pb", .target = &options.protobuf, .help = "write outputs as TensorProto (.pb) instead of .npy"});
  line.add({.names = "--no-optimize", .target = &options.no_optimize, .help = "run the model as it is in the file"});
  line.add(precision_flag(options.precision));
  if (!line.parse()) return kDone;
  if (options.model.empty()) fail(ErrorCode::kInvalidArgument, "no MODEL given; see --help");
  if (options.protobuf && options.output_dir.empty()) fail(ErrorCode::kInvalidArgument, "--pb needs --output-dir");
  return run_model(line, options);
}

}  // namespace pli::tools
