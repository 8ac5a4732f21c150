#include "live/c_runtime.hpp"

namespace cowherd::live {

const std::string_view kCRdma = R"c(
/*
 * Memory that is registered for RDMA: a soft-RoCE device with a reliable connection to itself, by the kernel's own interface. To get
 * one: modprobe rdma_rxe && rdma link add rxe0 type rxe netdev lo
 */
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rdma_user_rxe.h>
#include <stdarg.h>

/* Of the main process. */
static struct rdma {
    struct rxe_queue_buf *sends, *completions;
    unsigned long sends_bytes, completions_bytes;
    unsigned queue, key, sent;
    long *word;
} rdmas[DEVICES];

/* A command of the verbs, which any process may give that has the file. What is not longer than its place stands in it. */
static int verbs(int fd, unsigned command, const void *in, unsigned in_bytes, void *out, unsigned out_bytes,
                 void *driver, unsigned driver_bytes)
{
    unsigned long words[(sizeof(struct ib_uverbs_ioctl_hdr) + 4 * sizeof(struct ib_uverbs_attr)) / sizeof(long)] = { 0 };
    struct ib_uverbs_ioctl_hdr *request = (void *)words;
    struct ib_uverbs_attr *attribute = request->attrs;
    unsigned i;

    attribute->attr_id = UVERBS_ATTR_WRITE_CMD;
    attribute->len = sizeof(__u64);
    attribute++->data = command;
    attribute->attr_id = UVERBS_ATTR_CORE_IN;
    attribute->len = in_bytes;
    if (in_bytes > sizeof attribute->data)
        attribute->data = (unsigned long)in;
    else
        memcpy(&attribute->data, in, in_bytes);
    attribute++;
    if (out_bytes) {
        attribute->attr_id = UVERBS_ATTR_CORE_OUT;
        attribute->len = out_bytes;
        attribute++->data = (unsigned long)out;
    }
    if (driver_bytes) {
        attribute->attr_id = UVERBS_ATTR_UHW_OUT;
        attribute->len = driver_bytes;
        attribute++->data = (unsigned long)driver;
    }
    request->num_attrs = attribute - request->attrs;
    for (i = 0; i < request->num_attrs; i++)
        request->attrs[i].flags = UVERBS_ATTR_F_MANDATORY;
    request->length = sizeof *request + request->num_attrs * sizeof *attribute;
    request->object_id = UVERBS_OBJECT_DEVICE;
    request->method_id = UVERBS_METHOD_INVOKE_WRITE;
    request->driver_id = RDMA_DRIVER_RXE;
    return ioctl(fd, RDMA_VERBS_IOCTL, request);
}

static int register_memory(int fd, unsigned domain, unsigned long address, unsigned long bytes, int writes,
                           struct ib_uverbs_reg_mr_resp *registered)
{
    struct ib_uverbs_reg_mr command = { 0 };

    command.start = command.hca_va = address;
    command.length = bytes;
    command.pd_handle = domain;
    command.access_flags = IB_UVERBS_ACCESS_REMOTE_READ;
    if (writes)
        command.access_flags |= IB_UVERBS_ACCESS_LOCAL_WRITE | IB_UVERBS_ACCESS_REMOTE_WRITE;
    return verbs(fd, IB_USER_VERBS_CMD_REG_MR, &command, sizeof command, registered, sizeof *registered, NULL, 0);
}

static int line_of(char *line, unsigned size, const char *format, ...)
{
    char path[300];
    va_list rest;
    FILE *file;
    int there;

    va_start(rest, format);
    vsnprintf(path, sizeof path, format, rest);
    va_end(rest);
    file = fopen(path, "r");
    there = file && fgets(line, size, file);
    if (file)
        fclose(file);
    if (there)
        line[strcspn(line, "\n")] = 0;
    return there;
}

/* The first soft-RoCE device: its file, and an address of it. */
static int find_rdma(unsigned char *gid, int *gid_index)
{
    static const char of_ipv4[] = "0000:0000:0000:0000:0000:ffff:";
    char name[64], line[64], file[64];
    int number, i, byte, found = 0;

    for (number = 0; number < 32 && !found; number++) {
        if (!line_of(name, sizeof name, "/sys/class/infiniband_verbs/uverbs%d/ibdev", number) ||
            !line_of(line, sizeof line, "/sys/class/infiniband/%s/parent", name))
            continue;
        snprintf(file, sizeof file, "/dev/infiniband/uverbs%d", number);
        for (i = 0; i < 16; i++) {
            if (!line_of(line, sizeof line, "/sys/class/infiniband/%s/ports/1/gids/%d", name, i) ||
                strspn(line, "0:") == strlen(line))
                continue;
            if (found && strncmp(line, of_ipv4, strlen(of_ipv4)))
                continue;
            for (byte = 0; byte < 16; byte++)
                sscanf(line + byte / 2 * 5 + byte % 2 * 2, "%2hhx", &gid[byte]);
            *gid_index = i;
            found = 1;
        }
    }
    errno = ENODEV;
    return found ? open(file, O_RDWR) : -1;
}

static int connect_to_itself(int fd, unsigned queue, unsigned number, const unsigned char *gid, int gid_index)
{
    struct ib_uverbs_modify_qp command;
    int state;

    for (state = 1; state <= 3; state++) {
        memset(&command, 0, sizeof command);
        command.qp_handle = queue;
        command.qp_state = state;
        command.port_num = command.dest.port_num = 1;
        command.qp_access_flags =
            IB_UVERBS_ACCESS_LOCAL_WRITE | IB_UVERBS_ACCESS_REMOTE_WRITE | IB_UVERBS_ACCESS_REMOTE_READ;
        memcpy(command.dest.dgid, gid, sizeof command.dest.dgid);
        command.dest.sgid_index = gid_index;
        command.dest.hop_limit = 64;
        command.dest.is_global = 1;
        command.path_mtu = 3;
        command.dest_qp_num = number;
        command.max_rd_atomic = command.max_dest_rd_atomic = 1;
        command.min_rnr_timer = 12;
        command.timeout = 17;
        command.retry_cnt = command.rnr_retry = 7;
        /* Bits of the verbs' own: what is needed to be initialized, ready to receive, and to send. */
        command.attr_mask = state == 1 ? 0x39 : state == 2 ? 0x129181 : 0x12e01;
        if (verbs(fd, IB_USER_VERBS_CMD_MODIFY_QP, &command, sizeof command, NULL, 0, NULL, 0))
            return -1;
    }
    return 0;
}

static int rdma_open(int device)
{
    struct rdma *r = &rdmas[device];
    unsigned char gid[16];
    int gid_index = 0, fd = find_rdma(gid, &gid_index);
    struct ib_uverbs_get_context context = { 0 };
    struct ib_uverbs_get_context_resp made_context;
    struct ib_uverbs_alloc_pd domain = { 0 };
    struct ib_uverbs_alloc_pd_resp made_domain;
    struct ib_uverbs_reg_mr_resp registered;
    struct ib_uverbs_create_cq completions = { 0 };
    struct ib_uverbs_create_cq_resp made_completions;
    struct rxe_create_cq_resp ring;
    struct ib_uverbs_create_qp queue = { 0 };
    struct ib_uverbs_create_qp_resp made_queue;
    struct rxe_create_qp_resp rings;

    if (fd < 0 || verbs(fd, IB_USER_VERBS_CMD_GET_CONTEXT, &context, sizeof context, &made_context,
                        sizeof made_context, NULL, 0) ||
        verbs(fd, IB_USER_VERBS_CMD_ALLOC_PD, &domain, sizeof domain, &made_domain, sizeof made_domain, NULL, 0))
        return -1;
    close(made_context.async_fd);
    s->registered[device].domain = made_domain.pd_handle;
    /* Shared, so that no fork takes it from the device. */
    r->word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (register_memory(fd, made_domain.pd_handle, (unsigned long)r->word, PAGE, 1, &registered))
        return -1;
    r->key = registered.lkey;
    r->sent = 0;
    completions.cqe = 4;
    completions.comp_channel = -1;
    if (verbs(fd, IB_USER_VERBS_CMD_CREATE_CQ, &completions, sizeof completions, &made_completions,
              sizeof made_completions, &ring, sizeof ring))
        return -1;
    queue.pd_handle = made_domain.pd_handle;
    queue.send_cq_handle = queue.recv_cq_handle = made_completions.cq_handle;
    queue.max_send_wr = 4;
    queue.max_recv_wr = queue.max_send_sge = queue.max_recv_sge = 1;
    queue.sq_sig_all = 1;
    queue.qp_type = IB_UVERBS_QPT_RC;
    if (verbs(fd, IB_USER_VERBS_CMD_CREATE_QP, &queue, sizeof queue, &made_queue, sizeof made_queue, &rings,
              sizeof rings))
        return -1;
    r->queue = made_queue.qp_handle;
    r->sends_bytes = rings.sq_mi.size;
    r->completions_bytes = ring.mi.size;
    r->sends = mmap(NULL, r->sends_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, rings.sq_mi.offset);
    r->completions = mmap(NULL, r->completions_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, ring.mi.offset);
    if (r->sends == MAP_FAILED || r->completions == MAP_FAILED)
        return -1;
    madvise(r->sends, r->sends_bytes, MADV_DONTFORK);
    madvise(r->completions, r->completions_bytes, MADV_DONTFORK);
    return connect_to_itself(fd, made_queue.qp_handle, made_queue.qpn, gid, gid_index) ? -1 : fd;
}

static void rdma_close(int device)
{
    struct rdma *r = &rdmas[device];

    if (r->sends && r->sends != MAP_FAILED)
        munmap(r->sends, r->sends_bytes);
    if (r->completions && r->completions != MAP_FAILED)
        munmap(r->completions, r->completions_bytes);
    if (r->word)
        munmap(r->word, PAGE);
    memset(r, 0, sizeof *r);
}

static long rdma_release(int device)
{
    int i, count = s->registered[device].count, error = 0;

    s->registered[device].count = 0;
    for (i = 0; i < count; i++) {
        struct ib_uverbs_dereg_mr command = { s->registered[device].handle[i] };

        error |= verbs(s->fd[device].ring, IB_USER_VERBS_CMD_DEREG_MR, &command, sizeof command, NULL, 0, NULL, 0);
    }
    return result_of(error);
}

static long rdma_take(int device, unsigned long address, unsigned long bytes, int times, int writes)
{
    struct ib_uverbs_reg_mr_resp registered;
    int error;

    while (s->registered[device].count < times) {
        if (register_memory(s->fd[device].ring, s->registered[device].domain, address, bytes, writes, &registered)) {
            error = errno;
            rdma_release(device);
            errno = error;
            return -1;
        }
        s->registered[device].key = registered.rkey;
        s->registered[device].handle[s->registered[device].count++] = registered.mr_handle;
    }
    return times;
}

/* By the main process: RDMA READ or RDMA WRITE of a word. */
static int rdma_transfer(int device, int what, unsigned long address, long *value)
{
    struct rdma *r = &rdmas[device];
    unsigned at = r->sends->producer_index, done = r->completions->consumer_index, waited;
    struct rxe_send_wqe *work = (void *)(r->sends->data + ((at & r->sends->index_mask) << r->sends->log2_elem_size));
    struct ib_uverbs_post_send bell = { 0 };
    struct ib_uverbs_post_send_resp posted;
    struct ib_uverbs_wc *completion =
        (void *)(r->completions->data + ((done & r->completions->index_mask) << r->completions->log2_elem_size));

    *r->word = *value;
    memset(work, 0, sizeof *work);
    work->wr.wr_id = ++r->sent;
    work->wr.reserved = 1;
    work->wr.opcode = what == DMA_READ ? IB_UVERBS_WR_RDMA_READ : IB_UVERBS_WR_RDMA_WRITE;
    work->wr.send_flags = 2;
    work->wr.wr.rdma.remote_addr = work->iova = address;
    work->wr.wr.rdma.rkey = s->registered[device].key;
    work->ssn = r->sent - 1;
    work->dma.length = work->dma.resid = sizeof(long);
    work->dma.num_sge = 1;
    work->dma.sge[0].addr = (unsigned long)r->word;
    work->dma.sge[0].length = sizeof(long);
    work->dma.sge[0].lkey = r->key;
    __atomic_store_n(&r->sends->producer_index, (at + 1) & r->sends->index_mask, __ATOMIC_RELEASE);
    bell.qp_handle = r->queue;
    bell.wqe_size = sizeof(struct ib_uverbs_send_wr);
    if (verbs(s->fd[device].ring, IB_USER_VERBS_CMD_POST_SEND, &bell, sizeof bell, &posted, sizeof posted, NULL, 0))
        return -1;
    for (waited = 0; __atomic_load_n(&r->completions->producer_index, __ATOMIC_ACQUIRE) == done; waited++) {
        if (waited == 250000)
            return -1;
        usleep(20);
    }
    if (completion->status)
        return -1;
    __atomic_store_n(&r->completions->consumer_index, (done + 1) & r->completions->index_mask, __ATOMIC_RELEASE);
    *value = *r->word;
    return 0;
}
)c";

const std::string_view kCNoRdma = R"c(
/* No test here has memory registered for RDMA. */
static int rdma_open(int device) { return -1 - device; }
static void rdma_close(int device) { (void)device; }
static long rdma_release(int device) { return -1 - device; }

static long rdma_take(int device, unsigned long address, unsigned long bytes, int times, int writes)
{
    (void)device, (void)address, (void)bytes, (void)times, (void)writes;
    return -1;
}

static int rdma_transfer(int device, int what, unsigned long address, long *value)
{
    (void)device, (void)what, (void)address, (void)value;
    return -1;
}
)c";

}  // namespace cowherd::live
