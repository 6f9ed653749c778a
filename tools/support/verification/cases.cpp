#include "tools/support/verification/cases.h"

#include "runtime/core/tensor.h"
#include "runtime/ir/graph.h"
#include "tools/support/console/json.h"
#include "tools/support/data/values.h"
#include "tools/support/process/process.h"

#include <pli/model.h>
#include <pli/session.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <new>
#include <optional>

namespace pli::tools {

namespace {

namespace fs = std::filesystem;

/// The number in "<prefix>12<suffix>"; nothing for other names.
std::optional<int64_t> number_in(const std::string& name, std::string_view prefix, std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size())
    return std::nullopt;
  const char* const begin = name.data() + prefix.size();
  const char* const end = name.data() + name.size() - suffix.size();
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

/// The entries of a folder named "<prefix>K<suffix>", by number.
std::vector<fs::path> numbered(const fs::path& folder, std::string_view prefix, std::string_view suffix) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) fail(ErrorCode::kIo, "{}: can't be read: {}", folder.string(), error.message());
  for (const fs::directory_entry& entry : entries)
    if (const auto number = number_in(entry.path().filename().string(), prefix, suffix))
      found.emplace_back(*number, entry.path());
  std::ranges::sort(found);
  std::vector<fs::path> paths;
  for (auto& [number, path] : found) paths.push_back(std::move(path));
  return paths;
}

/// The inputs that `count` files are for: all of them, or those without a default.
std::vector<ir::ValueId> inputs_given(const ir::Graph& graph, size_t count) {
  if (count == graph.inputs().size()) return graph.inputs();
  std::vector<ir::ValueId> required;
  for (const ir::ValueId id : graph.inputs())
    if (!graph.value(id).has_default()) required.push_back(id);
  if (count != required.size())
    fail(ErrorCode::kInvalidArgument, "{} input files for {} inputs", count, required.size());
  return required;
}

/// The value in a file. ONNX's own cases keep what the model declares as bfloat16 as its bits in uint16.
Value load_as_declared(const fs::path& file, const std::string& declaration, const ir::Type& type) {
  Value value = load_value(file, declaration);
  if (type.dtype != DataType::kBfloat16 || !value.is_tensor() || value.dtype() != DataType::kUint16) return value;
  return bits_as(value.tensor(), DataType::kBfloat16);
}

/// A bfloat16 can't be asked to be closer than two of its last place: one that a reference rounds at every node of a
/// function, which stays float32 here, and one of its own.
Tolerance tolerance_for(DataType dtype, Tolerance tolerance) {
  if (dtype == DataType::kBfloat16) tolerance.rtol = std::max(tolerance.rtol, 0x1p-6);
  return tolerance;
}

void run_data_set(const Session& session, const ir::Graph& graph, const fs::path& folder, const Tolerance& tolerance,
                  Comparison& total) {
  const std::vector<fs::path> input_files = numbered(folder, "input_", ".pb");
  const std::vector<fs::path> output_files = numbered(folder, "output_", ".pb");
  if (output_files.size() != graph.outputs().size())
    fail(ErrorCode::kInvalidArgument, "{} output files for {} outputs", output_files.size(), graph.outputs().size());
  NamedValues inputs;
  const std::vector<ir::ValueId> ids = inputs_given(graph, input_files.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    Value value = load_as_declared(input_files[i], graph.value(ids[i]).extra, graph.type(ids[i]));
    const Tensor* constant = graph.constant_of(ids[i]);  // a weight that is declared as an input
    if (!constant)
      inputs.add(graph.name(ids[i]), std::move(value));
    else if (!value.is_tensor() || !identical(value.tensor(), *constant))
      fail(ErrorCode::kInvalidArgument, "{} holds another \"{}\" than the model, which does not let it be overridden",
           input_files[i].filename().string(), graph.name(ids[i]));
  }

  const NamedValues outputs = session.run(inputs);
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const ir::Output& declared = graph.outputs()[i];
    const Value& found = outputs.at(declared.name);
    const Value expected = load_as_declared(output_files[i], declared.extra, declared.type);
    Comparison one = compare(found, expected, tolerance_for(declared.type.dtype, tolerance));
    if (!one.difference.empty()) one.difference = fmt::format("output \"{}\": {}", declared.name, one.difference);
    merge(total, one);
  }
}

CaseResult run_here(const fs::path& folder, const CaseOptions& options) {
  const fs::path path = options.model.empty() ? folder / "model.onnx" : fs::path(options.model);
  const Model model = read_model(path.string(), options.model_options);
  SessionOptions session_options;
  session_options.threads = options.threads;
  session_options.compile_early = false;
  const Session session(model, session_options);
  const std::vector<fs::path> data_sets = numbered(folder, "test_data_set_", "");
  if (data_sets.empty()) fail(ErrorCode::kInvalidArgument, "there is no test_data_set_0");

  Comparison total;
  for (const fs::path& data_set : data_sets)
    with_context(data_set.filename().string(), [&] {
      Comparison one;
      run_data_set(session, model.ir()->graph, data_set, options.tolerance, one);
      if (!one.difference.empty()) one.difference = data_set.filename().string() + ": " + one.difference;
      merge(total, one);
    });
  const auto status = total.difference.empty() ? CaseResult::Status::kPass : CaseResult::Status::kFail;
  return {status, total.difference, static_cast<int>(data_sets.size()), total.max_abs, total.max_rel_rms};
}

CaseResult run_guarded(const fs::path& folder, const CaseOptions& options) {
  using Status = CaseResult::Status;
  try {
    return run_here(folder, options);
  } catch (const Error& e) {
    return {e.code() == ErrorCode::kUnsupported ? Status::kUnsupported : Status::kFail, e.what()};
  } catch (const std::bad_alloc&) {
    return {Status::kFail, "out of memory"};
  } catch (const std::exception& e) {
    return {Status::kFail, fmt::format("a defect in Pli: {}", e.what())};
  }
}

}  // namespace

std::string_view name_of(CaseResult::Status status) {
  switch (status) {
    case CaseResult::Status::kPass:
      return "pass";
    case CaseResult::Status::kFail:
      return "fail";
    case CaseResult::Status::kUnsupported:
      return "unsupported";
  }
  return "fail";
}

CaseResult run_case(const fs::path& folder, const CaseOptions& options) {
  Child child([&](Channel& channel) {
    const CaseResult result = run_guarded(folder, options);
    return channel.send({{"status", static_cast<int>(result.status)},
                         {"what", result.what},
                         {"data_sets", result.data_sets},
                         {"max_abs", result.max_abs},
                         {"max_rel_rms", result.max_rel_rms}})
               ? 0
               : 1;
  });
  const auto answer = child.channel().receive();
  if (!answer) return {CaseResult::Status::kFail, fmt::format("the process that ran it ended: {}", child.wait())};
  // Infinite figures are null in JSON.
  const auto number = [&](const char* key) { return answer->at(key).is_number() ? double{answer->at(key)} : HUGE_VAL; };
  return {CaseResult::Status{int{answer->at("status")}}, answer->at("what"), answer->at("data_sets"), number("max_abs"),
          number("max_rel_rms")};
}

}  // namespace pli::tools
