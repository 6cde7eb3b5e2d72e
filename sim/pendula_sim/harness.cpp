// The simulated device behind a small C interface: bytes in, bytes out.

#include <cstddef>
#include <cstdint>

#include "VTop.h"
#include "VTop___024root.h"
#include "verilated.h"
#if VM_COVERAGE
#include "VTop__Syms.h"
#include "verilated_cov.h"
#endif

#ifdef _WIN32
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

struct Device {
    VerilatedContext context;
    VTop top{&context};
};

#ifdef RISING_CLOCK
void VTop___024root___eval(VTop___024root* root);

// Move through a cycle. Registers see nothing but rising edges of the clock itself, which Verilator
// tells from its value in the last evaluation: said to have been low, it need not be evaluated low.
// What VTop::eval() does besides is for messages and classes, of which the design has none.
static void tick(VTop& top) {
    top.clk = 1;
    top.rootp->__Vtrigprevexpr___TOP__clk__0 = 0;
    VTop___024root___eval(top.rootp);
}
#else
static void tick(VTop& top) {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
}
#endif

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
    uint64_t stalls;            // bit k: output is not taken in cycle k of 64
    uint64_t consumed;          // from here on: results
    uint64_t produced;
    uint64_t cycles;
    uint64_t idle;
};

// Clock the device while it is busy or input is pending, until an end of the buffers or of
// max_cycles. There is room for a byte of output in every cycle.
// No path leads from an input to an output: outputs can be read before inputs are evaluated.
EXPORT void pendula_exchange(Device* device, Exchange* exchange) {
    VTop& top = device->top;
    uint64_t consumed = 0, produced = 0, cycles = 0;
    bool idle = false;
    while (cycles < exchange->max_cycles && produced < exchange->output_bytes) {
        const bool pending = consumed < exchange->input_bytes;
        top.i_valid = pending;
        if (pending) top.i_payload = exchange->input[consumed];
        top.o_ready = !(exchange->stalls >> (cycles & 63) & 1);
        idle = !pending && !top.busy;
        if (idle) break;
        if (top.o_valid && top.o_ready) exchange->output[produced++] = top.o_payload;
        consumed += pending && top.i_ready;
        tick(top);
        ++cycles;
    }
    exchange->consumed = consumed;
    exchange->produced = produced;
    exchange->cycles = cycles;
    exchange->idle = idle;
}

#if VM_COVERAGE
// Counters of the branches, one each, and how many there are; they live as long as the device.
EXPORT uint32_t* pendula_coverage(Device* device, uint64_t* branches) {
    auto& counters = device->top.rootp->vlSymsp->__Vcoverage;
    *branches = sizeof counters / sizeof *counters;
    return counters;
}

// Write Verilator's list of the branches, with the counters, to a file.
EXPORT void pendula_write_coverage(Device* device, const char* path) {
    device->context.coveragep()->write(path);
}
#endif
