/*
 * A VA-API driver that decodes nothing: instead of a picture it paints where in the stream it is, so that who shows its
 * pictures has them from here and from nowhere else. The left half of each is red, and the right half grey, the
 * brighter the more pictures there were before. tests/vm/hardware.rs uses it.
 *
 * What it does is told by the words in the file /tmp/va-driver, read when it is opened:
 *   no-device     it cannot be opened
 *   main-alone    it knows H.264's profile Main, and no other
 *   no-config     it refuses the stream
 *   fail-from=N   the Nth picture, counted from 0, and all after it cannot be decoded
 *   lost-from=N   the Nth and all after it are decoded, and cannot be fetched
 * When it is closed it adds a line to /tmp/va-driver.closed: pictures painted, and things that were not given back.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <va/va_backend.h>

#define MOST 256
#define SETTINGS "/tmp/va-driver"
#define CLOSED "/tmp/va-driver.closed"

/* A surface, an image's pixels or any other buffer: one of each kind is told from the others by nothing but its use. */
struct thing {
    int used, width, height, picture;
    unsigned char *bytes;
};

struct driver {
    struct thing things[MOST];
    int configs, contexts, images, target, pictures, fail_from, lost_from, main_alone, no_config;
};

static struct driver *of(VADriverContextP ctx) { return ctx->pDriverData; }

static struct thing *thing(VADriverContextP ctx, unsigned id) {
    return id < MOST && of(ctx)->things[id].used ? &of(ctx)->things[id] : NULL;
}

static VAStatus add(VADriverContextP ctx, size_t bytes, unsigned *id) {
    for (unsigned n = 1; n < MOST; n++) {
        struct thing *it = &of(ctx)->things[n];
        if (!it->used) {
            *it = (struct thing){.used = 1, .picture = -1, .bytes = calloc(1, bytes)};
            *id = n;
            return it->bytes ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_ALLOCATION_FAILED;
        }
    }
    return VA_STATUS_ERROR_ALLOCATION_FAILED;
}

static VAStatus drop(VADriverContextP ctx, unsigned id) {
    struct thing *it = thing(ctx, id);
    if (!it) return VA_STATUS_ERROR_INVALID_BUFFER;
    free(it->bytes);
    *it = (struct thing){0};
    return VA_STATUS_SUCCESS;
}

static VAStatus terminate(VADriverContextP ctx) {
    struct driver *driver = of(ctx);
    int left = driver->configs + driver->contexts + driver->images;
    for (int n = 0; n < MOST; n++) left += driver->things[n].used;
    FILE *closed = fopen(CLOSED, "a");
    if (closed) {
        fprintf(closed, "%d %d\n", driver->pictures, left);
        fclose(closed);
    }
    free(driver);
    return VA_STATUS_SUCCESS;
}

static VAStatus query_config_profiles(VADriverContextP ctx, VAProfile *profiles, int *count) {
    static const VAProfile all[] = {VAProfileH264Main, VAProfileH264ConstrainedBaseline, VAProfileH264High};
    *count = of(ctx)->main_alone ? 1 : 3;
    memcpy(profiles, all, *count * sizeof *profiles);
    return VA_STATUS_SUCCESS;
}

static VAStatus query_config_entrypoints(VADriverContextP ctx, VAProfile profile, VAEntrypoint *points, int *count) {
    points[0] = VAEntrypointVLD;
    *count = 1;
    return VA_STATUS_SUCCESS;
}

static VAStatus get_config_attributes(VADriverContextP ctx, VAProfile profile, VAEntrypoint point,
                                      VAConfigAttrib *attributes, int count) {
    for (int n = 0; n < count; n++) {
        int is_format = attributes[n].type == VAConfigAttribRTFormat;
        attributes[n].value = is_format ? VA_RT_FORMAT_YUV420 : VA_ATTRIB_NOT_SUPPORTED;
    }
    return VA_STATUS_SUCCESS;
}

static VAStatus create_config(VADriverContextP ctx, VAProfile profile, VAEntrypoint point, VAConfigAttrib *attributes,
                              int count, VAConfigID *id) {
    if (of(ctx)->no_config) return VA_STATUS_ERROR_UNSUPPORTED_PROFILE;
    of(ctx)->configs++;
    *id = 1;
    return VA_STATUS_SUCCESS;
}

static VAStatus destroy_config(VADriverContextP ctx, VAConfigID id) {
    of(ctx)->configs--;
    return VA_STATUS_SUCCESS;
}

static VAStatus query_config_attributes(VADriverContextP ctx, VAConfigID id, VAProfile *profile, VAEntrypoint *point,
                                        VAConfigAttrib *attributes, int *count) {
    *profile = VAProfileH264Main;
    *point = VAEntrypointVLD;
    *count = 0;
    return VA_STATUS_SUCCESS;
}

static VAStatus query_surface_attributes(VADriverContextP ctx, VAConfigID config, VASurfaceAttrib *attributes,
                                         unsigned *count) {
    static const int told[][2] = {{VASurfaceAttribPixelFormat, VA_FOURCC_NV12}, {VASurfaceAttribMinWidth, 16},
                                  {VASurfaceAttribMaxWidth, 4096}, {VASurfaceAttribMinHeight, 16},
                                  {VASurfaceAttribMaxHeight, 4096}};
    *count = sizeof told / sizeof *told;
    for (unsigned n = 0; attributes && n < *count; n++) {
        attributes[n] = (VASurfaceAttrib){.type = told[n][0], .flags = VA_SURFACE_ATTRIB_GETTABLE};
        attributes[n].value.type = VAGenericValueTypeInteger;
        attributes[n].value.value.i = told[n][1];
    }
    return VA_STATUS_SUCCESS;
}

static VAStatus create_surfaces2(VADriverContextP ctx, unsigned format, unsigned width, unsigned height,
                                 VASurfaceID *surfaces, unsigned count, VASurfaceAttrib *attributes, unsigned told) {
    for (unsigned n = 0; n < count; n++) {
        VAStatus added = add(ctx, width * height * 3 / 2, &surfaces[n]);
        if (added) return added;
        thing(ctx, surfaces[n])->width = width;
        thing(ctx, surfaces[n])->height = height;
    }
    return VA_STATUS_SUCCESS;
}

static VAStatus create_surfaces(VADriverContextP ctx, int width, int height, int format, int count,
                                VASurfaceID *surfaces) {
    return create_surfaces2(ctx, format, width, height, surfaces, count, NULL, 0);
}

static VAStatus destroy_surfaces(VADriverContextP ctx, VASurfaceID *surfaces, int count) {
    for (int n = 0; n < count; n++) drop(ctx, surfaces[n]);
    return VA_STATUS_SUCCESS;
}

static VAStatus create_context(VADriverContextP ctx, VAConfigID config, int width, int height, int flag,
                               VASurfaceID *targets, int count, VAContextID *id) {
    of(ctx)->contexts++;
    *id = 1;
    return VA_STATUS_SUCCESS;
}

static VAStatus destroy_context(VADriverContextP ctx, VAContextID id) {
    of(ctx)->contexts--;
    return VA_STATUS_SUCCESS;
}

static VAStatus create_buffer(VADriverContextP ctx, VAContextID context, VABufferType type, unsigned size,
                              unsigned count, void *data, VABufferID *id) {
    VAStatus added = add(ctx, (size_t)size * count, id);
    if (!added && data) memcpy(thing(ctx, *id)->bytes, data, (size_t)size * count);
    return added;
}

static VAStatus map_buffer(VADriverContextP ctx, VABufferID id, void **bytes) {
    struct thing *buffer = thing(ctx, id);
    if (!buffer) return VA_STATUS_ERROR_INVALID_BUFFER;
    *bytes = buffer->bytes;
    return VA_STATUS_SUCCESS;
}

static VAStatus unmap_buffer(VADriverContextP ctx, VABufferID id) {
    return thing(ctx, id) ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_BUFFER;
}

static VAStatus begin_picture(VADriverContextP ctx, VAContextID context, VASurfaceID target) {
    of(ctx)->target = target;
    return thing(ctx, target) ? VA_STATUS_SUCCESS : VA_STATUS_ERROR_INVALID_SURFACE;
}

static VAStatus render_picture(VADriverContextP ctx, VAContextID context, VABufferID *buffers, int count) {
    for (int n = 0; n < count; n++)
        if (!thing(ctx, buffers[n])) return VA_STATUS_ERROR_INVALID_BUFFER;
    return VA_STATUS_SUCCESS;
}

/* Red by ITU-R BT.601, and greys five steps apart. */
static VAStatus end_picture(VADriverContextP ctx, VAContextID context) {
    struct thing *surface = thing(ctx, of(ctx)->target);
    int number = of(ctx)->pictures++, width = surface->width, height = surface->height;
    if (number >= of(ctx)->fail_from) return VA_STATUS_ERROR_DECODING_ERROR;
    surface->picture = number;
    for (int y = 0; y < height; y++) {
        memset(surface->bytes + y * width, 81, width / 2);
        memset(surface->bytes + y * width + width / 2, 20 + 5 * (number % 40), width - width / 2);
    }
    for (int y = 0; y < height / 2; y++) {
        unsigned char *row = surface->bytes + (height + y) * width;
        for (int x = 0; x < width; x += 2) {
            row[x] = x < width / 2 ? 90 : 128;
            row[x + 1] = x < width / 2 ? 240 : 128;
        }
    }
    return VA_STATUS_SUCCESS;
}

static VAStatus sync_surface(VADriverContextP ctx, VASurfaceID id) {
    struct thing *surface = thing(ctx, id);
    if (!surface) return VA_STATUS_ERROR_INVALID_SURFACE;
    return surface->picture >= of(ctx)->lost_from ? VA_STATUS_ERROR_HW_BUSY : VA_STATUS_SUCCESS;
}

static VAStatus query_image_formats(VADriverContextP ctx, VAImageFormat *formats, int *count) {
    formats[0] = (VAImageFormat){.fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 12};
    *count = 1;
    return VA_STATUS_SUCCESS;
}

/* Rows of an image are longer than those of a surface, as a real device's are. */
static VAStatus create_image(VADriverContextP ctx, VAImageFormat *format, int width, int height, VAImage *image) {
    unsigned pitch = (width + 63) / 64 * 64 + 64;
    *image = (VAImage){.image_id = VA_INVALID_ID, .format = *format, .width = width, .height = height,
                       .num_planes = 2, .pitches = {pitch, pitch}, .offsets = {0, pitch * height},
                       .data_size = pitch * height * 3 / 2};
    VAStatus added = add(ctx, image->data_size, &image->buf);
    if (added) return added;
    struct thing *pixels = thing(ctx, image->buf);
    pixels->width = pitch;
    pixels->height = height;
    image->image_id = image->buf;
    of(ctx)->images++;
    return VA_STATUS_SUCCESS;
}

static VAStatus destroy_image(VADriverContextP ctx, VAImageID id) {
    of(ctx)->images--;
    return drop(ctx, id);
}

static VAStatus get_image(VADriverContextP ctx, VASurfaceID id, int x, int y, unsigned width, unsigned height,
                          VAImageID image) {
    struct thing *surface = thing(ctx, id), *pixels = thing(ctx, image);
    if (!surface || !pixels || x || y || width > surface->width || height > surface->height)
        return VA_STATUS_ERROR_INVALID_PARAMETER;
    for (unsigned row = 0; row < height; row++)
        memcpy(pixels->bytes + row * pixels->width, surface->bytes + row * surface->width, width);
    for (unsigned row = 0; row < height / 2; row++)
        memcpy(pixels->bytes + (pixels->height + row) * pixels->width,
               surface->bytes + (surface->height + row) * surface->width, width);
    return VA_STATUS_SUCCESS;
}

/* What no decoding needs. */
static VAStatus refuse(void) { return VA_STATUS_ERROR_UNIMPLEMENTED; }

static int number_after(const char *settings, const char *word) {
    const char *at = strstr(settings, word);
    return at ? atoi(at + strlen(word)) : 1 << 30;
}

/* What libva calls by its own version. */
#define INIT_OF(major, minor) __vaDriverInit_##major##_##minor
#define INIT(major, minor) INIT_OF(major, minor)
VAStatus INIT(VA_MAJOR_VERSION, VA_MINOR_VERSION)(VADriverContextP ctx) {
    char settings[256] = "";
    FILE *file = fopen(SETTINGS, "r");
    if (file) {
        settings[fread(settings, 1, sizeof settings - 1, file)] = 0;
        fclose(file);
    }
    if (strstr(settings, "no-device")) return VA_STATUS_ERROR_OPERATION_FAILED;
    struct driver *driver = calloc(1, sizeof *driver);
    if (!driver) return VA_STATUS_ERROR_ALLOCATION_FAILED;
    driver->main_alone = strstr(settings, "main-alone") != NULL;
    driver->no_config = strstr(settings, "no-config") != NULL;
    driver->fail_from = number_after(settings, "fail-from=");
    driver->lost_from = number_after(settings, "lost-from=");

    ctx->pDriverData = driver;
    ctx->version_major = VA_MAJOR_VERSION;
    ctx->version_minor = VA_MINOR_VERSION;
    ctx->max_profiles = 3;
    ctx->max_entrypoints = ctx->max_attributes = ctx->max_image_formats = ctx->max_subpic_formats = 1;
    ctx->max_display_attributes = 1;
    ctx->str_vendor = "paints";
    /* All of it, before the calls that do something. */
    void **calls = (void **)ctx->vtable;
    for (size_t n = 0; n < offsetof(struct VADriverVTable, reserved) / sizeof *calls; n++) calls[n] = refuse;
    struct VADriverVTable *table = ctx->vtable;
    table->vaTerminate = terminate;
    table->vaQueryConfigProfiles = query_config_profiles;
    table->vaQueryConfigEntrypoints = query_config_entrypoints;
    table->vaGetConfigAttributes = get_config_attributes;
    table->vaCreateConfig = create_config;
    table->vaDestroyConfig = destroy_config;
    table->vaQueryConfigAttributes = query_config_attributes;
    table->vaQuerySurfaceAttributes = query_surface_attributes;
    table->vaCreateSurfaces = create_surfaces;
    table->vaCreateSurfaces2 = create_surfaces2;
    table->vaDestroySurfaces = destroy_surfaces;
    table->vaCreateContext = create_context;
    table->vaDestroyContext = destroy_context;
    table->vaCreateBuffer = create_buffer;
    table->vaDestroyBuffer = drop;
    table->vaMapBuffer = map_buffer;
    table->vaUnmapBuffer = unmap_buffer;
    table->vaBeginPicture = begin_picture;
    table->vaRenderPicture = render_picture;
    table->vaEndPicture = end_picture;
    table->vaSyncSurface = sync_surface;
    table->vaQueryImageFormats = query_image_formats;
    table->vaCreateImage = create_image;
    table->vaDestroyImage = destroy_image;
    table->vaGetImage = get_image;
    return VA_STATUS_SUCCESS;
}
