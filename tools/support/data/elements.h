#pragma once

#include "tools/support/console/json_fwd.h"

#include <pli/value.h>

#include <string>

namespace pli::tools {

/// Element `index` of a tensor as text: "0.125", "-3", "true", a string in quotes.
std::string element_text(const Tensor& tensor, size_t index);

/// "float32[1, 3, 224, 224]", "a sequence of 3", "an empty optional".
std::string type_text(const Value& value);

/// Smallest, mean and largest element in words, NaN and infinities counted; for bools how many are true. Empty for what
/// is no number.
std::string statistics_text(const Tensor& tensor);

/// The five largest elements of each row with their places, a line a row, for a vector and for up to four of them;
/// empty for other shapes.
std::string top_text(const Tensor& tensor);

/// {"dtype", "shape", "min", "mean", "max", "nan", "infinite"}, the last five for numbers only.
Json tensor_json(const Tensor& tensor);

}  // namespace pli::tools
