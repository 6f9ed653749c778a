#include "runtime/onnx/saved_names.h"

namespace pli {

namespace {

using ir::ValueId;
using ir::ValueKind;

class Chooser {
 public:
  Chooser(const ir::Graph& graph, bool nested) : graph_(graph), nested_(nested) {
    names_.values.resize(graph.value_limit());
    names_.outputs.resize(graph.outputs().size());
  }

  SavedNames choose(std::span<const std::string> captured) {
    for (size_t i = 0; i < captured.size(); ++i) settle(graph_.captures()[i], captured[i]);
    if (!nested_)
      for (const ValueId input : graph_.inputs()) settle(input, graph_.name(input));
    choose_outputs();
    for (int32_t i = 0; i < static_cast<int32_t>(graph_.value_limit()); ++i) {
      const ValueId id{i};
      if (graph_.alive(id) && name(id).empty()) settle(id, free_name(graph_.name(id)));
    }
    return std::move(names_);
  }

 private:
  std::string& name(ValueId id) { return names_.values[static_cast<size_t>(id.index)]; }

  void settle(ValueId id, std::string chosen) {
    taken_.insert(chosen);
    name(id) = std::move(chosen);
  }

  /// `wanted`, or a name after it that nothing has or would like to have.
  std::string free_name(const std::string& wanted) {
    if (!taken_.contains(wanted)) return wanted;
    for (int64_t& i = counters_[wanted];;) {
      std::string candidate = fmt::format("{}_{}", wanted, ++i);
      if (!taken_.contains(candidate) && !graph_.find(candidate)) return candidate;
    }
  }

  void choose_outputs() {
    const auto& outputs = graph_.outputs();
    // A value that has an output's name already keeps it, so that another output can't take it over.
    for (size_t i = 0; i < outputs.size(); ++i) {
      const ValueId value = outputs[i].value;
      if (graph_.name(value) != outputs[i].name || graph_.value(value).kind == ValueKind::kCapture) continue;
      if (name(value).empty()) settle(value, free_name(outputs[i].name));
      names_.outputs[i] = {name(value), false};
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!names_.outputs[i].name.empty()) continue;
      const ValueId value = outputs[i].value;
      std::string chosen = nested_ ? free_name(outputs[i].name) : outputs[i].name;
      if (taken_.contains(chosen)) fail(ErrorCode::kInternal, "output \"{}\" is called like an input", chosen);
      const bool direct = graph_.value(value).kind == ValueKind::kNodeOutput && name(value).empty();
      if (direct) name(value) = chosen;
      taken_.insert(chosen);
      names_.outputs[i] = {std::move(chosen), !direct};
    }
  }

  const ir::Graph& graph_;
  bool nested_;
  SavedNames names_;
  ir::NameSet taken_;
  std::unordered_map<std::string, int64_t> counters_;  // the last number tried behind a name
};

}  // namespace

SavedNames choose_names(const ir::Graph& graph, bool nested, std::span<const std::string> captured) {
  return Chooser(graph, nested).choose(captured);
}

}  // namespace pli
