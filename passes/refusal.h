#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

namespace pli::passes {

/// Why a fold was left undone: a stable code for programs and a sentence for people. Without a code: there was nothing
/// to be done.
struct Refusal {
  std::string code;
  std::string reason;
  bool freezing_helps = false;  // it is not constant because its default may be overridden

  /// `return why.because(code, "...", ...)` ends a chain of guards.
  template <class... Args>
  std::nullopt_t because(std::string_view new_code, fmt::format_string<Args...> format, Args&&... args) {
    code = new_code;
    reason = fmt::format(format, std::forward<Args>(args)...);
    return std::nullopt;
  }
};

/// The codes of `Fold::code`. They are part of the report's format: don't change them.
namespace code {
inline constexpr std::string_view kOtherConsumer = "other_consumer";  // the linear node's result is used elsewhere too
inline constexpr std::string_view kGraphOutput = "graph_output";      // the linear node's result is an output
inline constexpr std::string_view kNotConstant = "not_constant";      // a weight or statistic is known only at run time
inline constexpr std::string_view kTrainingMode = "training_mode";    // it normalizes by its own input
inline constexpr std::string_view kNonFinite = "non_finite";          // NaN or infinity among statistics or results
inline constexpr std::string_view kSizeMismatch = "size_mismatch";    // statistics and channels differ in number
inline constexpr std::string_view kNoLinearNeighbour =
    "no_linear_neighbour";                                                  // nothing before it that could take it up
inline constexpr std::string_view kNonlinearBetween = "nonlinear_between";  // something between it and the linear node
inline constexpr std::string_view kNodeBetween = "node_between";            // the same, but nothing nonlinear
inline constexpr std::string_view kAxisUnproven = "axis_unproven";          // not shown to run along the channels
inline constexpr std::string_view kDataType = "data_type";                  // not of a float type that folds
inline constexpr std::string_view kTooLarge = "too_large";                  // the folded constant would pass a limit
inline constexpr std::string_view kQuantized = "quantized";                 // the stored integers can't take it up
inline constexpr std::string_view kDisabled = "disabled";                   // by the options
inline constexpr std::string_view kDead = "dead";                           // nothing needed its result
inline constexpr std::string_view kNestedGraph = "nested_graph";            // in the body of If, Loop or Scan
inline constexpr std::string_view kUnknownOpset = "unknown_opset";          // newer than what Pli knows
inline constexpr std::string_view kFunction = "function";                   // in a local function of the model
inline constexpr std::string_view kBrokenNode = "broken_node";    // it, or what it would fold into, breaks the standard
inline constexpr std::string_view kPadding = "padding";           // what follows pads with zeros
inline constexpr std::string_view kComposite = "composite";       // it ends what is run as one operator
inline constexpr std::string_view kSearchLimit = "search_limit";  // what could take it up is too many nodes away
inline constexpr std::string_view kPinned = "pinned";  // an annotation or training graph names what would change
}  // namespace code

}  // namespace pli::passes
