#pragma once

#include "runtime/ir/types.h"
#include "runtime/onnx/proto.h"

#include <pli/limits.h>

namespace pli {

/// The declared type. A dimension of -1, which some exporters write for one that is not known, is unknown.
/// kInvalidModel for other negative dimensions, kResourceLimit for a rank beyond the limits.
ir::Type type_of(const onnx::ValueInfoProto& declaration, const Limits& limits);

/// Writes into `declaration` what `type` knows and it does not say, or says otherwise; the rest of it stays.
void put_type(onnx::ValueInfoProto& declaration, const ir::Type& type);

}  // namespace pli
