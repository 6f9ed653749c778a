#pragma once

namespace pli {

/// Protobuf's functions have to be those that Pli is compiled for. A program that has others of the same names gives
/// them to all its libraries, unless it keeps them to itself. kUnsupported, naming the file that they come from.
void check_protobuf_origin();

}  // namespace pli
