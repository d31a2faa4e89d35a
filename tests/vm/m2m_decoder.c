// SPDX-License-Identifier: GPL-2.0
/*
 * A memory-to-memory device that takes H.264 and decodes nothing: for each piece of the stream it gives a picture that
 * says which it is, as va_driver.c does. The left half is red, and the right half grey, the brighter the more pictures
 * there were since it was opened. tests/vm/hardware.rs uses it.
 *
 * The Nth picture since it was opened, counted from 0, and all after it
 *   are marked as damaged   /sys/module/m2m_decoder/parameters/damaged_from
 *   never come              /sys/module/m2m_decoder/parameters/silent_from
 */
#include <linux/module.h>
#include <linux/platform_device.h>
#include <media/v4l2-device.h>
#include <media/v4l2-event.h>
#include <media/v4l2-fh.h>
#include <media/v4l2-ioctl.h>
#include <media/v4l2-mem2mem.h>
#include <media/videobuf2-vmalloc.h>

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A decoder that paints");

#define NAME "m2m_decoder"
#define NEVER INT_MAX

static int damaged_from = NEVER;
module_param(damaged_from, int, 0644);
static int silent_from = NEVER;
module_param(silent_from, int, 0644);

static struct painter {
	struct v4l2_device v4l2;
	struct video_device video;
	struct v4l2_m2m_dev *m2m;
	struct mutex lock;
} painter;

/* Who has it open: the sizes of what goes in and what comes out, and how many pictures there were. */
struct session {
	struct v4l2_fh fh;
	struct v4l2_pix_format coded, picture;
	int pictures;
};

static struct session *session_of(struct file *file)
{
	return container_of(file->private_data, struct session, fh);
}

static struct v4l2_pix_format *format_of(struct session *session, u32 type)
{
	return V4L2_TYPE_IS_OUTPUT(type) ? &session->coded : &session->picture;
}

/* What a wanted format becomes. */
static void fit(struct v4l2_pix_format *format, u32 type)
{
	format->width = clamp(format->width, 16U, 4096U);
	format->height = clamp(format->height, 16U, 4096U);
	format->field = V4L2_FIELD_NONE;
	format->colorspace = V4L2_COLORSPACE_DEFAULT;
	if (V4L2_TYPE_IS_OUTPUT(type)) {
		format->pixelformat = V4L2_PIX_FMT_H264;
		format->bytesperline = 0;
		format->sizeimage = max(format->sizeimage, 1U << 20);
	} else {
		/* Rows are longer than pictures are wide, as a real device's are. */
		format->height = ALIGN(format->height, 16);
		format->width = ALIGN(format->width, 16);
		format->pixelformat = V4L2_PIX_FMT_NV12;
		format->bytesperline = format->width + 64;
		format->sizeimage = format->bytesperline * format->height * 3 / 2;
	}
}

/* Red by ITU-R BT.601, and greys five steps apart. */
static void paint(u8 *bytes, const struct v4l2_pix_format *format, u32 width, int number)
{
	u32 pitch = format->bytesperline, x, y;

	for (y = 0; y < format->height; y++) {
		memset(bytes + y * pitch, 81, width / 2);
		memset(bytes + y * pitch + width / 2, 20 + 5 * (number % 40), format->width - width / 2);
	}
	for (y = 0; y < format->height / 2; y++) {
		u8 *row = bytes + (format->height + y) * pitch;

		for (x = 0; x < format->width; x += 2) {
			row[x] = x < width / 2 ? 90 : 128;
			row[x + 1] = x < width / 2 ? 240 : 128;
		}
	}
}

static void device_run(void *priv)
{
	struct session *session = priv;
	struct v4l2_m2m_ctx *m2m = session->fh.m2m_ctx;
	struct vb2_v4l2_buffer *from = v4l2_m2m_src_buf_remove(m2m), *to;
	int number = session->pictures++;
	bool last = v4l2_m2m_is_last_draining_src_buf(m2m, from);
	enum vb2_buffer_state state = number < damaged_from ? VB2_BUF_STATE_DONE : VB2_BUF_STATE_ERROR;

	if (number >= silent_from && !last) {
		v4l2_m2m_buf_done(from, VB2_BUF_STATE_DONE);
		v4l2_m2m_job_finish(painter.m2m, m2m);
		return;
	}
	to = v4l2_m2m_dst_buf_remove(m2m);
	paint(vb2_plane_vaddr(&to->vb2_buf, 0), &session->picture, session->coded.width, number);
	vb2_set_plane_payload(&to->vb2_buf, 0, session->picture.sizeimage);
	v4l2_m2m_buf_copy_metadata(from, to, true);
	to->flags |= V4L2_BUF_FLAG_KEYFRAME;
	if (last) {
		to->flags |= V4L2_BUF_FLAG_LAST;
		v4l2_m2m_mark_stopped(m2m);
	}
	v4l2_m2m_buf_done(from, VB2_BUF_STATE_DONE);
	v4l2_m2m_buf_done(to, state);
	v4l2_m2m_job_finish(painter.m2m, m2m);
}

static const struct v4l2_m2m_ops m2m_ops = { .device_run = device_run };

static int queue_setup(struct vb2_queue *queue, unsigned int *buffers, unsigned int *planes, unsigned int sizes[],
		       struct device *allocators[])
{
	u32 size = format_of(vb2_get_drv_priv(queue), queue->type)->sizeimage;

	if (*planes)
		return sizes[0] < size ? -EINVAL : 0;
	*planes = 1;
	sizes[0] = size;
	return 0;
}

static int buf_prepare(struct vb2_buffer *buffer)
{
	to_vb2_v4l2_buffer(buffer)->field = V4L2_FIELD_NONE;
	return 0;
}

static void buf_queue(struct vb2_buffer *buffer)
{
	struct session *session = vb2_get_drv_priv(buffer->vb2_queue);
	struct vb2_v4l2_buffer *vbuf = to_vb2_v4l2_buffer(buffer);
	struct v4l2_m2m_ctx *m2m = session->fh.m2m_ctx;

	if (V4L2_TYPE_IS_CAPTURE(buffer->vb2_queue->type) && vb2_is_streaming(buffer->vb2_queue) &&
	    v4l2_m2m_dst_buf_is_last(m2m)) {
		v4l2_m2m_last_buffer_done(m2m, vbuf);
		return;
	}
	v4l2_m2m_buf_queue(m2m, vbuf);
}

static int start_streaming(struct vb2_queue *queue, unsigned int count)
{
	struct session *session = vb2_get_drv_priv(queue);

	v4l2_m2m_update_start_streaming_state(session->fh.m2m_ctx, queue);
	return 0;
}

static void stop_streaming(struct vb2_queue *queue)
{
	struct session *session = vb2_get_drv_priv(queue);
	struct v4l2_m2m_ctx *m2m = session->fh.m2m_ctx;
	struct vb2_v4l2_buffer *buffer;

	v4l2_m2m_update_stop_streaming_state(m2m, queue);
	for (;;) {
		buffer = V4L2_TYPE_IS_OUTPUT(queue->type) ? v4l2_m2m_src_buf_remove(m2m) : v4l2_m2m_dst_buf_remove(m2m);
		if (!buffer)
			return;
		v4l2_m2m_buf_done(buffer, VB2_BUF_STATE_ERROR);
	}
}

static const struct vb2_ops queue_ops = {
	.queue_setup = queue_setup,
	.buf_prepare = buf_prepare,
	.buf_queue = buf_queue,
	.start_streaming = start_streaming,
	.stop_streaming = stop_streaming,
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
};

static int queue_init(void *priv, struct vb2_queue *from, struct vb2_queue *to)
{
	struct vb2_queue *queues[] = { from, to };
	int n, error;

	for (n = 0; n < 2; n++) {
		queues[n]->type = n ? V4L2_BUF_TYPE_VIDEO_CAPTURE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
		queues[n]->io_modes = VB2_MMAP;
		queues[n]->drv_priv = priv;
		queues[n]->ops = &queue_ops;
		queues[n]->mem_ops = &vb2_vmalloc_memops;
		queues[n]->buf_struct_size = sizeof(struct v4l2_m2m_buffer);
		queues[n]->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
		queues[n]->lock = &painter.lock;
		error = vb2_queue_init(queues[n]);
		if (error)
			return error;
	}
	return 0;
}

static int querycap(struct file *file, void *fh, struct v4l2_capability *cap)
{
	strscpy(cap->driver, NAME, sizeof(cap->driver));
	strscpy(cap->card, NAME, sizeof(cap->card));
	strscpy(cap->bus_info, "platform:" NAME, sizeof(cap->bus_info));
	return 0;
}

static int enum_fmt(struct file *file, void *fh, struct v4l2_fmtdesc *desc)
{
	if (desc->index)
		return -EINVAL;
	desc->pixelformat = V4L2_TYPE_IS_OUTPUT(desc->type) ? V4L2_PIX_FMT_H264 : V4L2_PIX_FMT_NV12;
	return 0;
}

static int g_fmt(struct file *file, void *fh, struct v4l2_format *format)
{
	format->fmt.pix = *format_of(session_of(file), format->type);
	return 0;
}

static int try_fmt(struct file *file, void *fh, struct v4l2_format *format)
{
	fit(&format->fmt.pix, format->type);
	return 0;
}

static int s_fmt(struct file *file, void *fh, struct v4l2_format *format)
{
	struct session *session = session_of(file);

	fit(&format->fmt.pix, format->type);
	*format_of(session, format->type) = format->fmt.pix;
	return 0;
}

/* What of the decoded picture is to be seen: as much as was said of the stream. */
static int g_selection(struct file *file, void *fh, struct v4l2_selection *selection)
{
	struct session *session = session_of(file);

	selection->r = (struct v4l2_rect){ .width = session->coded.width, .height = session->coded.height };
	return 0;
}

static int subscribe_event(struct v4l2_fh *fh, const struct v4l2_event_subscription *wanted)
{
	return wanted->type == V4L2_EVENT_EOS ? v4l2_event_subscribe(fh, wanted, 0, NULL) :
						v4l2_src_change_event_subscribe(fh, wanted);
}

static const struct v4l2_ioctl_ops ioctl_ops = {
	.vidioc_querycap = querycap,
	.vidioc_enum_fmt_vid_cap = enum_fmt,
	.vidioc_enum_fmt_vid_out = enum_fmt,
	.vidioc_g_fmt_vid_cap = g_fmt,
	.vidioc_g_fmt_vid_out = g_fmt,
	.vidioc_try_fmt_vid_cap = try_fmt,
	.vidioc_try_fmt_vid_out = try_fmt,
	.vidioc_s_fmt_vid_cap = s_fmt,
	.vidioc_s_fmt_vid_out = s_fmt,
	.vidioc_g_selection = g_selection,
	.vidioc_s_selection = g_selection,
	.vidioc_reqbufs = v4l2_m2m_ioctl_reqbufs,
	.vidioc_querybuf = v4l2_m2m_ioctl_querybuf,
	.vidioc_qbuf = v4l2_m2m_ioctl_qbuf,
	.vidioc_dqbuf = v4l2_m2m_ioctl_dqbuf,
	.vidioc_streamon = v4l2_m2m_ioctl_streamon,
	.vidioc_streamoff = v4l2_m2m_ioctl_streamoff,
	.vidioc_decoder_cmd = v4l2_m2m_ioctl_decoder_cmd,
	.vidioc_try_decoder_cmd = v4l2_m2m_ioctl_try_decoder_cmd,
	.vidioc_subscribe_event = subscribe_event,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
};

static int open(struct file *file)
{
	struct session *session = kzalloc(sizeof(*session), GFP_KERNEL);
	struct v4l2_m2m_ctx *m2m;

	if (!session)
		return -ENOMEM;
	fit(&session->coded, V4L2_BUF_TYPE_VIDEO_OUTPUT);
	fit(&session->picture, V4L2_BUF_TYPE_VIDEO_CAPTURE);
	m2m = v4l2_m2m_ctx_init(painter.m2m, session, queue_init);
	if (IS_ERR(m2m)) {
		kfree(session);
		return PTR_ERR(m2m);
	}
	v4l2_fh_init(&session->fh, &painter.video);
	session->fh.m2m_ctx = m2m;
	file->private_data = &session->fh;
	v4l2_fh_add(&session->fh);
	return 0;
}

static int release(struct file *file)
{
	struct session *session = session_of(file);

	mutex_lock(&painter.lock);
	v4l2_m2m_ctx_release(session->fh.m2m_ctx);
	mutex_unlock(&painter.lock);
	v4l2_fh_del(&session->fh);
	v4l2_fh_exit(&session->fh);
	kfree(session);
	return 0;
}

static const struct v4l2_file_operations file_ops = {
	.owner = THIS_MODULE,
	.open = open,
	.release = release,
	.poll = v4l2_m2m_fop_poll,
	.mmap = v4l2_m2m_fop_mmap,
	.unlocked_ioctl = video_ioctl2,
};

static int __init start(void)
{
	int error;

	strscpy(painter.v4l2.name, NAME, sizeof(painter.v4l2.name));
	mutex_init(&painter.lock);
	error = v4l2_device_register(NULL, &painter.v4l2);
	if (error)
		return error;
	painter.m2m = v4l2_m2m_init(&m2m_ops);
	if (IS_ERR(painter.m2m)) {
		error = PTR_ERR(painter.m2m);
		goto unregister;
	}
	strscpy(painter.video.name, NAME, sizeof(painter.video.name));
	painter.video.v4l2_dev = &painter.v4l2;
	painter.video.lock = &painter.lock;
	painter.video.fops = &file_ops;
	painter.video.ioctl_ops = &ioctl_ops;
	painter.video.device_caps = V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING;
	painter.video.vfl_dir = VFL_DIR_M2M;
	painter.video.release = video_device_release_empty;
	error = video_register_device(&painter.video, VFL_TYPE_VIDEO, 20);
	if (!error)
		return 0;
	v4l2_m2m_release(painter.m2m);
unregister:
	v4l2_device_unregister(&painter.v4l2);
	return error;
}

static void __exit stop(void)
{
	video_unregister_device(&painter.video);
	v4l2_m2m_release(painter.m2m);
	v4l2_device_unregister(&painter.v4l2);
}

module_init(start);
module_exit(stop);
