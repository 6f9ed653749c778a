#include "passes/pass.h"

namespace pli::passes {

int64_t eliminate_nop(Context&) { return 0; }

}  // namespace pli::passes
