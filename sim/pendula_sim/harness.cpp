// The simulated device behind a small C interface: bytes in, bytes out.

#include <cstddef>
#include <cstdint>

#include "VTop.h"
#include "verilated.h"

#ifdef _WIN32
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

struct Device {
    VerilatedContext context;
    VTop top{&context};
};

EXPORT Device* pendula_create() {
    Device* device = new Device;
    device->top.clk = 0;
    device->top.eval();
    return device;
}

EXPORT void pendula_destroy(Device* device) {
    device->top.final();
    delete device;
}

struct Exchange {
    const uint8_t* input;
    uint64_t input_bytes;
    uint8_t* output;
    uint64_t output_bytes;      // room
    uint64_t max_cycles;
    uint64_t consumed;          // from here on: results
    uint64_t produced;
    uint64_t cycles;
    uint64_t idle;
};

// Clock the device while it is busy or input is pending, until an end of the buffers or of
// max_cycles. The output never stalls the device: there is room for a byte in every cycle.
EXPORT void pendula_exchange(Device* device, Exchange* exchange) {
    VTop& top = device->top;
    uint64_t consumed = 0, produced = 0, cycles = 0;
    bool idle = false;
    top.o_ready = 1;
    while (cycles < exchange->max_cycles && produced < exchange->output_bytes) {
        const bool pending = consumed < exchange->input_bytes;
        top.i_valid = pending;
        if (pending) top.i_payload = exchange->input[consumed];
        top.clk = 0;
        top.eval();
        idle = !pending && !top.busy;
        if (idle) break;
        if (top.o_valid) exchange->output[produced++] = top.o_payload;
        consumed += pending && top.i_ready;
        top.clk = 1;
        top.eval();
        ++cycles;
    }
    exchange->consumed = consumed;
    exchange->produced = produced;
    exchange->cycles = cycles;
    exchange->idle = idle;
}
